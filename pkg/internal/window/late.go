package window

import (
	"slices"
	"time"
)

// Overdue are the events and frames whose time is up.
type Overdue struct {
	Expired []*Event // waited too long without leaving: certainly not stored
	GivenUp []*Frame // without an answer until their time was up: not stored, unless Frame.MayBeStored
	Again   []*Frame // to be sent again, as the attempt that they now count
}

// Late returns what must be given up or sent again by now.
func (w *Window) Late(now time.Time) Overdue {
	o := w.GiveUp(now)
	for _, f := range w.frames {
		if !now.Before(f.resendAt) {
			o.Again = append(o.Again, f)
		}
	}
	slices.SortFunc(o.Again, older)
	for _, f := range o.Again {
		w.again(f, now)
	}
	return o
}

// GiveUp returns what must be given up by now.
func (w *Window) GiveUp(now time.Time) Overdue {
	o := Overdue{Expired: w.expire(now)}
	for _, f := range w.frames {
		if !now.Before(f.deadline) {
			o.GivenUp = append(o.GivenUp, f)
		}
	}
	slices.SortFunc(o.GivenUp, older)
	for _, f := range o.GivenUp {
		w.resolve(f.ID, false)
	}
	return o
}

// Abandon gives up all that is outstanding: the frames in flight and the events that have not left.
func (w *Window) Abandon() Overdue {
	var o Overdue
	for _, f := range w.frames {
		o.GivenUp = append(o.GivenUp, f)
	}
	slices.SortFunc(o.GivenUp, older)
	for _, f := range o.GivenUp {
		w.resolve(f.ID, false)
	}
	for w.queued.first != nil {
		o.Expired = append(o.Expired, w.drop(w.queued.first))
	}
	return o
}

// expire takes back the events that have waited too long without leaving. They are certainly not stored.
func (w *Window) expire(now time.Time) []*Event {
	var out []*Event
	for e := w.queued.first; e != nil && !now.Before(e.deadline); {
		next := e.byAge.next
		if e.key.frame == nil { // else older events of its key are still to be resolved
			out = append(out, w.drop(e))
		}
		e = next
	}
	return out
}

// Withdraw takes back an event that is not resolved. It returns false for one that may have come to a router, which stays as
// it is; an event that was taken back is certainly not stored.
func (w *Window) Withdraw(e *Event) bool {
	switch {
	case e.Seq == 0:
		w.drop(e)
	case e.key.frame.MayBeStored():
		return false
	default:
		w.takeOut(e)
	}
	return true
}

// SendAgain makes every frame in flight due to be sent again: the connection on which they left was lost.
func (w *Window) SendAgain(now time.Time) {
	for _, f := range w.frames {
		f.resendAt = now
	}
}

// drop takes back an event that has not left.
func (w *Window) drop(e *Event) *Event {
	k := e.key
	w.unlink(e)
	if k.ready {
		w.readyBytes -= e.Draft.Size()
		if k.events.first == nil {
			k.ready = false
			w.ready.remove(k)
		}
	}
	w.release(e)
	w.forget(k)
	return e
}

// NextDue is when the next frame must be sent again or given up, another one may leave, or the next queued event expires;
// zero if nothing waits.
func (w *Window) NextDue(now time.Time) time.Time {
	var due time.Time
	earlier := func(t time.Time) {
		if due.IsZero() || t.Before(due) {
			due = t
		}
	}
	for _, f := range w.frames {
		earlier(f.deadline)
		earlier(f.resendAt)
	}
	if at := w.RestsUntil(now); !at.IsZero() {
		earlier(at)
	}
	if len(w.frames) > 0 && now.Before(w.freeAt) {
		earlier(w.freeAt)
	}
	for e := w.queued.first; e != nil; e = e.byAge.next {
		if e.key.frame == nil {
			earlier(e.deadline)
			break
		}
	}
	return due
}
