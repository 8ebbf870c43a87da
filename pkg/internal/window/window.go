// Package window decides which of a publisher's events may leave, in which frames, which frames are sent again or given up,
// and what an answer means. It has no goroutine, no clock and no connection: callers tell it of events, answers and the
// time, and it returns the frames to send and the events that are resolved.
package window

import (
	"time"

	"example.com/lockstep/pkg/frame"
)

// Window holds a publisher's outstanding events. Its rules:
//
//   - A key has at most one frame in flight. Its later events wait, other keys' do not. So a frame that is sent again
//     cannot be stored after a later event of one of its keys.
//   - An event that was given up may still be stored, any time later. Its key is held until the floor has passed it: the
//     next event of the key then carries a floor above it, and workers drop a late copy that comes after that.
//   - No seq leaves that is more than frame.MaxSpan above the floor, so that one stuck event cannot make the
//     deduplication record grow.
//   - A session is renewed only when nothing is in flight.
//   - An event may be withdrawn as long as it cannot have come to a router. If it has a seq, no other event gets that seq,
//     and the floor passes it.
type Window struct {
	limits Limits

	session frame.Session
	seq     uint64 // the last one given out
	floor   uint64 // the lowest one not resolved
	done    [frame.MaxSpan/64 + 1]uint64
	renew   bool // nothing leaves until the session has been renewed

	keys   map[string]*keyQueue
	spare  []*keyQueue
	ready  list[keyQueue, readyKeys]
	held   []*keyQueue // keys that wait for the floor
	queued list[Event, eventsByAge]

	frames     map[uint64]*Frame // in flight
	lastFrame  uint64
	freeAt     time.Time // then the pipe is free for another frame, though there is one in flight
	restedAt   time.Time // then another frame may leave a free pipe, however small
	senders    int       // events outstanding when the last answer came: as many senders may wait for one
	events     int       // outstanding: queued and in flight
	bytes      int
	readyBytes int
}

// keyQueue is a key with events outstanding.
type keyQueue struct {
	key    string
	events list[Event, eventsOfKey] // not yet left, oldest first
	bytes  int                      // of these
	frame  *Frame                   // in flight with events of this key
	heldBy uint64                   // a given-up seq that the floor must pass first; 0: none
	ready  bool
	links  links[keyQueue] // while it is ready
}

// New makes a window of a session that begins.
func New(l Limits, s frame.Session) *Window {
	return &Window{limits: l, session: s, floor: 1, keys: make(map[string]*keyQueue), frames: make(map[uint64]*Frame)}
}

// Outstanding is the number of events that are not resolved.
func (w *Window) Outstanding() int { return w.events }

// InFlight is the number of frames in flight.
func (w *Window) InFlight() int { return len(w.frames) }

// First is the seq of the first event of a frame in flight.
func (w *Window) First(id uint64) (seq uint64, ok bool) {
	f, ok := w.frames[id]
	if !ok {
		return 0, false
	}
	return f.Events[0].Seq, true
}

// FrameOf is the frame that an event that is not resolved is in, nil if it is queued.
func (w *Window) FrameOf(e *Event) *Frame {
	if e.Seq == 0 {
		return nil
	}
	return e.key.frame
}

// Full tells whether an event of that size has no room. One event always has room in an empty window.
func (w *Window) Full(size int) bool {
	return w.events > 0 && (w.events >= w.limits.Events || w.bytes+size > w.limits.Bytes)
}

// Roomy tells whether there is room for an event of that size and for a good part of a window, so that a sender that waited
// goes on with more than one event.
func (w *Window) Roomy(size int) bool {
	return !w.Full(size) && w.events <= w.limits.Events-max(1, w.limits.Events/8) && w.bytes <= w.limits.Bytes-w.limits.Bytes/8
}

// Add takes an event. The caller has asked Full.
func (w *Window) Add(e *Event, key string, now time.Time) {
	k := w.keys[key]
	if k == nil {
		if n := len(w.spare); n > 0 {
			k, w.spare = w.spare[n-1], w.spare[:n-1]
		} else {
			k = new(keyQueue)
		}
		k.key = key
		w.keys[key] = k
	}
	size := e.Draft.Size()
	e.key, e.deadline = k, now.Add(w.limits.Timeout)
	w.events++
	w.bytes += size
	w.queued.push(e)
	k.events.push(e)
	k.bytes += size
	if k.ready {
		w.readyBytes += size
	} else {
		w.makeReady(k)
	}
}

// makeReady queues a key if its first event may leave.
func (w *Window) makeReady(k *keyQueue) {
	if k.ready || k.frame != nil || k.heldBy != 0 || k.events.first == nil {
		return
	}
	k.ready = true
	w.readyBytes += k.bytes
	w.ready.push(k)
}

// MayLeave tells whether Next would return a frame, unless a session's time is up.
func (w *Window) MayLeave(now time.Time) bool {
	if w.renew && len(w.frames) > 0 || w.ready.first == nil || w.seq+1-w.floor > frame.MaxSpan {
		return false
	}
	switch {
	case w.readyBytes >= frame.MaxFrameBytes:
		return true
	case len(w.frames) > 0:
		return !now.Before(w.freeAt)
	}
	return w.events >= min(w.senders, enough) || !now.Before(w.restedAt)
}

// RestsUntil is when the events that wait only for the pipe's rest may leave; zero if none do.
func (w *Window) RestsUntil(now time.Time) time.Time {
	if len(w.frames) > 0 || w.ready.first == nil || w.MayLeave(now) {
		return time.Time{}
	}
	return w.restedAt
}

// Next returns the frame that leaves now, or nil. A frame leaves when it is full, or when the pipe is free and has rested, see rest.
func (w *Window) Next(now time.Time) *Frame {
	w.renewSession(now)
	if !w.MayLeave(now) {
		return nil
	}
	w.lastFrame++
	f := &Frame{ID: w.lastFrame, deadline: now.Add(w.limits.Timeout)}
	f.Data = make([]byte, 0, min(w.readyBytes, frame.MaxFrameBytes)+128)
	f.Data = frame.AppendHeader(f.Data, w.session, w.floor)
	for w.ready.first != nil && w.fill(f, w.ready.first) {
		w.ready.remove(w.ready.first)
	}
	if earliest := now.Add(attemptTimeout); f.deadline.Before(earliest) {
		f.deadline = earliest
	}
	w.frames[f.ID] = f
	f.attempt(now)
	w.freeAt = now.Add(freeAfter)
	w.restedAt = now.Add(rest)
	return f
}

// again counts another attempt at a frame, as it was, or without the events that were taken out.
func (w *Window) again(f *Frame, now time.Time) {
	if f.changed {
		f.Data = frame.AppendHeader(make([]byte, 0, len(f.Data)), w.session, w.floor)
		for _, e := range f.Events {
			f.Data = frame.AppendEvent(f.Data, e.Draft, e.Seq)
		}
		f.changed = false
	}
	f.attempt(now)
}

// fill moves events of k into f and tells whether f may take those of another key.
func (w *Window) fill(f *Frame, k *keyQueue) bool {
	for e := k.events.first; e != nil; e = k.events.first {
		size := e.Draft.Size()
		if len(f.Events) > 0 && len(f.Data)+size > frame.MaxFrameBytes || w.seq+1-w.floor > frame.MaxSpan {
			if k.frame == f { // the rest of this key waits for the frame it now has in flight
				w.unready(k)
				return true
			}
			return false
		}
		w.unlink(e)
		w.readyBytes -= size
		w.seq++
		e.Seq = w.seq
		f.Data = frame.AppendEvent(f.Data, e.Draft, e.Seq)
		f.Events = append(f.Events, e)
		if e.deadline.Before(f.deadline) {
			f.deadline = e.deadline
		}
		k.frame = f
	}
	w.unready(k)
	return true
}

func (w *Window) unready(k *keyQueue) {
	k.ready = false
	w.readyBytes -= k.bytes
}

// unlink takes an event that has not left out of the queues.
func (w *Window) unlink(e *Event) {
	k := e.key
	k.events.remove(e)
	k.bytes -= e.Draft.Size()
	w.queued.remove(e)
}
