package dedup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/dedup"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/internal/golden"
)

// Both encodings of what a slot keeps of a publisher.
func TestGoldenPublishers(t *testing.T) {
	session := frame.Session{Publisher: frame.PublisherID{1, 2, 3}, Generation: 2, Birth: 1_700_000_000_123}
	at := time.Unix(1_700_000_100, 7)
	for name, applied := range map[string]func(i uint64) uint64{
		"publisher-words.hex": func(i uint64) uint64 { return 100 + i },
		"publisher-gaps.hex":  func(i uint64) uint64 { return 100 + 150*i },
	} {
		var record dedup.Record
		p, verdict := record.Part(session, 100, at)
		require.Equal(t, dedup.Open, verdict)
		for i := range uint64(100) {
			require.True(t, p.Admit(applied(i)))
		}
		var today []byte
		record.Changes(func(_ frame.PublisherID, encoded []byte) { today = encoded })

		var restored dedup.Record
		require.NoError(t, restored.Restore(session.Publisher, golden.Check(t, name, today)))
		require.Equal(t, session.Generation, restored.Newest(session.Publisher))
		older := session
		older.Generation--
		_, verdict = restored.Part(older, 100, at)
		require.Equal(t, dedup.Closed, verdict)
		p, _ = restored.Part(session, 100, at)
		for i := range uint64(100) {
			require.False(t, p.Admit(applied(i)), "%s: seq %d was applied", name, applied(i))
		}
		require.False(t, p.Admit(99), "below the floor")
		require.True(t, p.Admit(applied(100)))
	}
}
