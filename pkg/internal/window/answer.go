package window

import (
	"time"

	"example.com/lockstep/pkg/frame"
)

// Outcome is the state of a frame's events after an answer.
type Outcome int

// Refused: certainly not stored. Unknown: a router refused the frame for good, but an earlier attempt at it may have come to
// another router, which may have stored it.
const (
	InFlight Outcome = iota
	Stored
	Refused
	Unknown
)

// Answered takes the answer to an attempt at a frame. If that resolves the frame it returns it.
func (w *Window) Answered(id uint64, attempt int, a frame.Answer, now time.Time) (*Frame, Outcome) {
	f, ok := w.frames[id]
	if !ok {
		return nil, InFlight // resolved before
	}
	if a.Retry {
		f.Refusal = a
		if f.Attempt == attempt { // else a newer attempt is under way
			f.refused(now)
		}
		return nil, InFlight
	}
	outcome := Unknown
	switch {
	case a.Code == frame.Stored:
		outcome = Stored
	case !f.earlier && f.Attempt == attempt:
		outcome = Refused
	}
	w.senders = w.events
	w.resolve(id, outcome == Stored)
	return f, outcome
}

// NotTaken notes that an attempt at a frame came to no router and never will: the connection did not take it, or no router
// listened.
func (w *Window) NotTaken(id uint64, attempt int) {
	if f, ok := w.frames[id]; ok && f.Attempt == attempt { // earlier attempts are not told apart
		f.newest = false
	}
}
