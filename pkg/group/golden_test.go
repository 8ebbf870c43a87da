package group

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/internal/golden"
)

// Workers of all versions have their entries in the same buckets, and probe one another.
func TestGoldenEntries(t *testing.T) {
	requireGolden(t, "member.json", Member{Schema: 1, Name: "worker-1", Started: time.Date(2026, 11, 29, 1, 2, 3, 4, time.UTC), Proof: "00ff"})
	requireGolden(t, "claim.json", claim{Schema: 1, Member: "0123abcd"})
	golden.Check(t, "probe-answer.txt", provenAnswer("00ff", "17"))
	require.Equal(t, "shard.7", claimKey(7))
}

func requireGolden[T any](t *testing.T, name string, want T) {
	t.Helper()
	today, err := json.Marshal(want)
	require.NoError(t, err)
	var got T
	require.NoError(t, json.Unmarshal(golden.Check(t, name, today), &got))
	require.Equal(t, want, got)
}
