package consume

import (
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/dedup"
	"example.com/lockstep/pkg/frame"
	"github.com/stretchr/testify/require"
)

// A client sends in the name of two publishers: with a generation that closes the session of one, and a floor above all
// that the other will send. What they still send is dropped; that is counted and told apart from copies.
func TestForgedSessionsAreTold(t *testing.T) {
	r := newRig(t, 1)
	w := r.start()
	send := func(publisher byte, generation, floor, seq uint64) {
		r.put(0, batchFor(0, sent{publisher: publisher, generation: generation, floor: floor, events: []sentEvent{{seq: seq, key: "k"}}}), nil)
	}
	send(8, 1, 1, 1)
	send(9, 1, 1, 1)
	send(9, 1, 1, 1)
	r.applied()
	require.Zero(t, w.metric("events_closed_total"))
	require.Zero(t, w.metric("floor_jumps_total"))
	eventually(t, func() bool { return w.metric("events_duplicate_total") == 1 }, "the copy is counted behind its commit")
	require.NotContains(t, w.log.String(), "in their publisher's name")

	send(8, math.MaxUint64, 2, 2)
	send(9, 1, 1<<62, 1<<62)
	send(8, 1, 2, 2)
	send(8, 1, 3, 3)
	send(9, 1, 2, 2)
	r.applied()
	eventually(t, func() bool { return w.metric("events_applied_total") == 4 && w.metric("events_closed_total") == 2 },
		"publisher 8's own events are closed")
	eventually(t, func() bool { return w.metric("events_duplicate_total") == 2 }, "that of publisher 9 is below the floor")
	require.EqualValues(t, 1, w.metric("floor_jumps_total"))
	log := w.log.String()
	require.Contains(t, log, "events of closed sessions were dropped")
	require.Contains(t, log, "publisher "+frame.PublisherID{8}.String()+" generation 1 seq ")
	require.Contains(t, log, "closed by generation 18446744073709551615")
	require.Contains(t, log, "publisher "+frame.PublisherID{9}.String()+" generation 1, from 1 to 4611686018427387904")
}

func TestSuspicionIsToldOnceAMinute(t *testing.T) {
	var log logBook
	var n suspicion
	at := time.Now()
	note := func(closed, jumps int, later time.Duration) {
		var s suspect
		for range closed {
			s.isClosed(frame.Session{}, 1, 2)
		}
		var record dedup.Record
		p, _ := record.Part(frame.Session{Birth: at.UnixMilli()}, 1<<62, at)
		for range jumps {
			s.part(frame.Session{}, p, 1<<62)
		}
		n.note(slog.New(slog.NewTextHandler(&log, nil)), 3, s, at.Add(later))
	}
	note(0, 0, 0)
	require.Empty(t, log.String())
	note(2, 0, 0)
	note(3, 0, 59*time.Second)
	note(0, 1, 59*time.Second)
	note(1, 4, time.Minute)
	require.Equal(t, 3, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), "events=2")
	require.Contains(t, log.String(), "events=4")
	require.Contains(t, log.String(), "times=1")
}
