package window

import (
	"time"

	"example.com/lockstep/pkg/frame"
)

// Outcome is what an answer says of a frame's events.
type Outcome int

// A frame is InFlight still, or Stored, or Refused for good: certainly not stored. It is Unknown whether it is stored if it
// was refused for good after an attempt that may have come to a router.
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
		if f.Attempt == attempt { // not the word on an attempt that another has followed
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
	w.resolve(id, outcome == Stored)
	return f, outcome
}

// NotTaken notes that an attempt at a frame has come to no router, and never will: the connection did not take it, or
// nobody listened.
func (w *Window) NotTaken(id uint64, attempt int) {
	if f, ok := w.frames[id]; ok && f.Attempt == attempt { // of an earlier attempt it is not kept
		f.newest = false
	}
}
