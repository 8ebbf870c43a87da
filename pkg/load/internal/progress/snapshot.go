// Package progress shows people how a load goes while it runs: a bar on a
// terminal, a plain line a second elsewhere.
package progress

import (
	"fmt"
	"time"
)

// Snapshot is a load at one moment.
type Snapshot struct {
	Elapsed   time.Duration // since the first event was due
	Total     time.Duration // of sending; 0 if it has no limit in time
	Events    uint64        // to be sent, 0 if their number has no limit
	Sent      uint64
	Acked     uint64
	Failed    uint64
	Unapplied uint64        // acknowledged and not applied yet, as far as receipts tell
	Late      time.Duration // how late events are sent now
	ApplyP99  time.Duration // over the last second; 0 if nothing was applied
}

// Add adds what another process tells of the same load.
func (s *Snapshot) Add(o Snapshot) {
	s.Elapsed = max(s.Elapsed, o.Elapsed)
	s.Total = max(s.Total, o.Total)
	s.Events += o.Events
	s.Sent += o.Sent
	s.Acked += o.Acked
	s.Failed += o.Failed
	s.Unapplied += o.Unapplied
	s.Late = max(s.Late, o.Late)
	s.ApplyP99 = max(s.ApplyP99, o.ApplyP99)
}

// done returns how much of the sending is behind us, from 0 to 1.
func (s Snapshot) done() float64 {
	share := 0.0
	if s.Total > 0 {
		share = s.Elapsed.Seconds() / s.Total.Seconds()
	}
	if s.Events > 0 {
		share = max(share, float64(s.Sent)/float64(s.Events))
	}
	return min(share, 1)
}

// inFlight returns how many events are sent and have no outcome.
func (s Snapshot) inFlight() uint64 { return s.Sent - min(s.Sent, s.Acked+s.Failed) }

// rate returns how many events a second were acknowledged since a snapshot before.
func (s Snapshot) rate(before Snapshot) float64 {
	d := s.Elapsed - before.Elapsed
	if d <= 0 {
		return 0
	}
	return float64(s.Acked-min(s.Acked, before.Acked)) / d.Seconds()
}

// line tells all.
func (s Snapshot) line(before Snapshot) string {
	return fmt.Sprintf("%4.0fs  sent %d  acked %d  %.0f/s  p99 %.1f ms  in flight %d  lag %d  behind %.0f ms  failed %d",
		s.Elapsed.Seconds(), s.Sent, s.Acked, s.rate(before), milliseconds(s.ApplyP99), s.inFlight(), s.Unapplied, milliseconds(s.Late), s.Failed)
}

// short tells what fits into the line of a terminal beside a bar.
func (s Snapshot) short(before Snapshot) string {
	out := fmt.Sprintf("%.0fs  %.0f/s  p99 %.1f ms  in flight %d  lag %d  failed %d",
		s.Elapsed.Seconds(), s.rate(before), milliseconds(s.ApplyP99), s.inFlight(), s.Unapplied, s.Failed)
	if s.Late >= notable {
		out += fmt.Sprintf("  behind %.0f ms", milliseconds(s.Late))
	}
	return out
}

// notable is how late events must be sent for a terminal to show it: any timer is
// late by a little.
const notable = 10 * time.Millisecond

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
