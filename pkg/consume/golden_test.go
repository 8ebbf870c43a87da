package consume

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/internal/golden"
)

// The receipts that a commit owes are sent by a later owner, which may be of another version.
func TestGoldenOwed(t *testing.T) {
	want := map[receiptTo][]uint64{{publisher: frame.PublisherID{1, 2, 3, 0xff}, generation: 2}: {7, 300, 299}}
	got, err := decodeOwed(golden.Check(t, "owed.hex", appendOwed(nil, want)))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// What operators' tools are told of a parked key.
func TestGoldenNotice(t *testing.T) {
	today, err := json.Marshal(notice{
		Key: "alice", Shard: 7, ID: "id-1", Error: "event has no amount", Attempts: 5, Time: time.Date(2026, 11, 29, 1, 2, 3, 4, time.UTC),
	})
	require.NoError(t, err)
	golden.Check(t, "notice-parked.json", today)
}
