package permit

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/internal/golden"
)

// Routers of all versions have their permits in one bucket.
func TestGoldenEntry(t *testing.T) {
	want := entry{Schema: entrySchema, Renewal: 12, Epoch: 2, Closed: 1}
	today, err := json.Marshal(want)
	require.NoError(t, err)
	var got entry
	require.NoError(t, json.Unmarshal(golden.Check(t, "permit.json", today), &got))
	require.Equal(t, want, got)
}
