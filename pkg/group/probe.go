package group

import "time"

// Times of presence.
const (
	probeEvery    = 200 * time.Millisecond
	refusalsToGo  = 2               // no-responders in a row: the member's connection is gone
	silenceToGo   = 2 * time.Second // it hangs
	steadyBefore  = 5 * time.Second // a member judges others once its own connection is this old: longer than all need to reconnect
	probedMembers = 3               // so many neighbours each: two of them may die at once
	probedAtOnce  = 1000            // with those that have never answered
	pausedAfter   = time.Second     // between two probes: then it was the prober that slept
)

// answer is the result of one probe.
type answer int

const (
	deaf    answer = iota // no answer, not even from this member itself: it tells nothing
	heard                 // the member answered
	refused               // the server says that no subscriber listens
	silent                // no answer, though this member's own connection works
)

// verdict is a prober's judgement of a member.
type verdict int

const (
	alive verdict = iota
	gone          // its connection is closed, so its process has died: its leases may be unlocked for it
	hung          // it does not answer and may wake up: its leases must expire by themselves
)

// health judges one member from the answers to its probes. It has no clock and no connection.
type health struct {
	refusals   int
	lastHeard  time.Time
	lastJudged time.Time
}

// judge takes the answer to a probe. The prober's own connection is up from the time up on, and must have been up for
// steadyBefore.
func (h *health) judge(a answer, now, up time.Time, steadyBefore time.Duration) verdict {
	paused := now.Sub(h.lastJudged) > pausedAfter // or it is the first probe
	h.lastJudged = now
	if now.Sub(up) < steadyBefore {
		*h = health{lastHeard: now, lastJudged: now}
		return alive
	}
	if paused {
		h.lastHeard = now
	}
	switch a {
	case deaf, heard:
		*h = health{lastHeard: now, lastJudged: now}
	case refused:
		if h.refusals++; h.refusals >= refusalsToGo {
			return gone
		}
	case silent:
		h.refusals = 0
		if now.Sub(h.lastHeard) >= silenceToGo {
			return hung
		}
	}
	return alive
}
