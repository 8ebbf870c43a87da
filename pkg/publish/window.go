package publish

import (
	"time"

	"example.com/lockstep/pkg/frame"
)

// window decides which events may leave now and which are resolved. It has no goroutine, no clock and no connection: it
// is told what happened and returns what to do. Its rules:
//
//   - A key has at most one frame in flight. Its later events wait, other keys' do not. So a frame that is sent again
//     cannot come behind a later event of one of its keys.
//   - An event that was given up may still be stored, any time later. Its key is held until the floor has passed it: the
//     next event of the key then carries a floor above it, and the late copy is dropped wherever it turns up behind that.
//   - No seq leaves that is more than frame.MaxSpan above the floor, so that one stuck event cannot make the
//     deduplication record grow.
//   - A session is renewed only when nothing is in flight.
type window struct {
	maxEvents  int
	maxBytes   int
	timeout    time.Duration // of an event, from when it was added
	minAttempt time.Duration // a frame is in flight for at least that long
	freeFrames int           // so many frames in flight leave the pipe free for one more, however small

	session frame.Session
	seq     uint64 // the last one given out
	floor   uint64 // the lowest one not resolved
	done    [frame.MaxSpan/64 + 1]uint64
	renew   bool // nothing leaves until the session has been renewed

	keys   map[string]*keyQueue
	spare  []*keyQueue
	ready  fifo[*keyQueue] // keys with an event that may leave
	held   []*keyQueue     // keys that wait for the floor
	queued list            // every event that has not left, oldest first

	frames     map[uint64]*outFrame // in flight
	lastFrame  uint64
	events     int // outstanding: queued and in flight
	bytes      int
	readyBytes int
}

// keyQueue is a key with events outstanding.
type keyQueue struct {
	key         string
	first, last *Handle   // not yet left, oldest first, chained by nextOfKey
	bytes       int       // of these
	frame       *outFrame // in flight with events of this key
	heldBy      uint64    // a given-up seq that the floor must pass first; 0: none
	ready       bool
}

// outFrame is a frame in flight.
type outFrame struct {
	id       uint64
	data     []byte
	events   []*Handle
	attempts int
	resendAt time.Time
	deadline time.Time // given up then
}

func newWindow(cfg Config, s frame.Session) *window {
	return &window{
		maxEvents: cfg.MaxEvents, maxBytes: cfg.MaxBytes, timeout: cfg.DeliveryTimeout, minAttempt: attemptTimeout, freeFrames: freeFrames,
		session: s, floor: 1, keys: make(map[string]*keyQueue), frames: make(map[uint64]*outFrame),
	}
}

// full tells whether an event of that size has no room. One event always has room in an empty window.
func (w *window) full(size int) bool {
	return w.events > 0 && (w.events >= w.maxEvents || w.bytes+size > w.maxBytes)
}

// roomy tells whether there is room for an event of that size and for a good part of a window, so that a sender that waited
// goes on with more than one event.
func (w *window) roomy(size int) bool {
	return !w.full(size) && w.events <= w.maxEvents-max(1, w.maxEvents/8) && w.bytes <= w.maxBytes-w.maxBytes/8
}

// add takes an event. The caller has asked full.
func (w *window) add(h *Handle, key string, now time.Time) {
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
	size := h.draft.Size()
	h.key, h.deadline = k, now.Add(w.timeout)
	w.events++
	w.bytes += size
	w.queued.push(h)
	if k.first == nil {
		k.first = h
	} else {
		k.last.nextOfKey = h
	}
	k.last = h
	k.bytes += size
	if k.ready {
		w.readyBytes += size
	} else {
		w.makeReady(k)
	}
}

// makeReady queues a key whose first event may leave.
func (w *window) makeReady(k *keyQueue) {
	if k.ready || k.frame != nil || k.heldBy != 0 || k.first == nil {
		return
	}
	k.ready = true
	w.readyBytes += k.bytes
	w.ready.push(k)
}

// mayLeave tells whether next would return a frame.
func (w *window) mayLeave() bool {
	if w.renew || w.ready.len() == 0 || w.seq+1-w.floor > frame.MaxSpan {
		return false
	}
	return len(w.frames) < w.freeFrames || w.readyBytes >= frame.MaxFrameBytes
}

// next returns the frame that leaves now, or nil. A frame leaves when the pipe is free or the frame is full.
func (w *window) next(now time.Time) *outFrame {
	if !w.mayLeave() {
		return nil
	}
	w.lastFrame++
	f := &outFrame{id: w.lastFrame, deadline: now.Add(w.timeout)}
	f.data = make([]byte, 0, min(w.readyBytes, frame.MaxFrameBytes)+128)
	f.data = frame.AppendHeader(f.data, w.session, w.floor)
	for w.ready.len() > 0 && w.fill(f, w.ready.front()) {
		w.ready.pop()
	}
	if earliest := now.Add(w.minAttempt); f.deadline.Before(earliest) {
		f.deadline = earliest
	}
	w.frames[f.id] = f
	return f
}

// fill moves events of k into f and tells whether f may take those of another key.
func (w *window) fill(f *outFrame, k *keyQueue) bool {
	for h := k.first; h != nil; h = k.first {
		size := h.draft.Size()
		if len(f.events) > 0 && len(f.data)+size > frame.MaxFrameBytes || w.seq+1-w.floor > frame.MaxSpan {
			if k.frame == f { // the rest of this key waits for the frame it now has in flight
				w.unready(k)
				return true
			}
			return false
		}
		w.unlink(h)
		w.readyBytes -= size
		w.seq++
		h.seq = w.seq
		f.data = frame.AppendEvent(f.data, h.draft, h.seq)
		f.events = append(f.events, h)
		if h.deadline.Before(f.deadline) {
			f.deadline = h.deadline
		}
		k.frame = f
	}
	w.unready(k)
	return true
}

func (w *window) unready(k *keyQueue) {
	k.ready = false
	w.readyBytes -= k.bytes
}

// unlink takes h, the first event of its key, out of the queues.
func (w *window) unlink(h *Handle) {
	k := h.key
	k.first, h.nextOfKey = h.nextOfKey, nil
	if k.first == nil {
		k.last = nil
	}
	k.bytes -= h.draft.Size()
	w.queued.remove(h)
}

// resolve ends a frame: stored, or given up. It tells whether the frame was still in flight.
func (w *window) resolve(id uint64, stored bool) (*outFrame, bool) {
	f, ok := w.frames[id]
	if !ok {
		return nil, false
	}
	delete(w.frames, id)
	for _, h := range f.events {
		w.done[h.seq/64%uint64(len(w.done))] |= 1 << (h.seq % 64)
		w.release(h)
		if !stored && h.seq > h.key.heldBy {
			if h.key.heldBy == 0 {
				w.held = append(w.held, h.key)
			}
			h.key.heldBy = h.seq
		}
	}
	w.raiseFloor()
	for _, h := range f.events {
		if k := h.key; k.frame == f {
			k.frame = nil
			w.makeReady(k)
			w.forget(k)
		}
	}
	return f, true
}

// release returns the room that an event took.
func (w *window) release(h *Handle) {
	w.events--
	w.bytes -= h.draft.Size()
}

// raiseFloor moves the floor past everything resolved and lets go of the keys that waited for it.
func (w *window) raiseFloor() {
	for w.floor <= w.seq {
		word, bit := &w.done[w.floor/64%uint64(len(w.done))], uint64(1)<<(w.floor%64)
		if *word&bit == 0 {
			break
		}
		*word &^= bit
		w.floor++
	}
	kept := w.held[:0]
	for _, k := range w.held {
		if k.heldBy >= w.floor {
			kept = append(kept, k)
			continue
		}
		k.heldBy = 0
		w.makeReady(k)
		w.forget(k)
	}
	clear(w.held[len(kept):])
	w.held = kept
}

// forget drops a key with nothing outstanding.
func (w *window) forget(k *keyQueue) {
	if k.first != nil || k.frame != nil || k.heldBy != 0 || k.key == "" {
		return
	}
	delete(w.keys, k.key)
	*k = keyQueue{}
	if len(w.spare) < w.maxEvents {
		w.spare = append(w.spare, k)
	}
}

// expire takes back the events that have waited too long without leaving. They are certainly not stored.
func (w *window) expire(now time.Time) []*Handle {
	var out []*Handle
	for h := w.queued.first; h != nil && !now.Before(h.deadline); {
		next := h.next
		if h.key.frame == nil { // else those before it are still to be resolved
			out = append(out, w.drop(h))
		}
		h = next
	}
	return out
}

// dropAll takes back every event that has not left.
func (w *window) dropAll() []*Handle {
	var out []*Handle
	for w.queued.first != nil {
		out = append(out, w.drop(w.queued.first))
	}
	return out
}

// drop takes back an event that has not left. It is the first of its key: events of a key are queued in the order of age.
func (w *window) drop(h *Handle) *Handle {
	k := h.key
	w.unlink(h)
	if k.ready {
		w.readyBytes -= h.draft.Size()
		if k.first == nil {
			k.ready = false
			w.ready.remove(k)
		}
	}
	w.release(h)
	w.forget(k)
	return h
}

// begin starts a new generation if nothing is in flight, and tells whether it did. Seqs go on; the floor is above all of
// the generations before, whose late copies the new one closes.
func (w *window) begin(birth time.Time) bool {
	if len(w.frames) > 0 {
		return false
	}
	w.session.Generation++
	w.session.Birth = birth.UnixMilli()
	w.renew = false
	return true
}

// nextDue is when the next frame must be sent again or given up, or the next queued event expires; zero if nothing waits.
func (w *window) nextDue() time.Time {
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
	for h := w.queued.first; h != nil; h = h.next {
		if h.key.frame == nil {
			earlier(h.deadline)
			break
		}
	}
	return due
}
