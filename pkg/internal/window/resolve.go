package window

import "slices"

// resolve ends a frame: stored, or given up. It tells whether the frame was still in flight.
func (w *Window) resolve(id uint64, stored bool) (*Frame, bool) {
	f, ok := w.frames[id]
	if !ok {
		return nil, false
	}
	delete(w.frames, id)
	for _, e := range f.Events {
		w.done[e.Seq/64%uint64(len(w.done))] |= 1 << (e.Seq % 64)
		w.release(e)
		if !stored && e.Seq > e.key.heldBy {
			if e.key.heldBy == 0 {
				w.held = append(w.held, e.key)
			}
			e.key.heldBy = e.Seq
		}
	}
	w.raiseFloor()
	for _, e := range f.Events {
		if k := e.key; k.frame == f {
			k.frame = nil
			w.makeReady(k)
			w.forget(k)
		}
	}
	return f, true
}

// takeOut takes an event out of its frame, of which no attempt has come to a router.
func (w *Window) takeOut(e *Event) {
	k := e.key
	f := k.frame
	f.Events = slices.DeleteFunc(f.Events, func(other *Event) bool { return other == e })
	f.changed = true
	w.done[e.Seq/64%uint64(len(w.done))] |= 1 << (e.Seq % 64)
	w.release(e)
	w.raiseFloor()
	if !slices.ContainsFunc(f.Events, func(other *Event) bool { return other.key == k }) {
		k.frame = nil
		w.makeReady(k)
		w.forget(k)
	}
	if len(f.Events) == 0 {
		delete(w.frames, f.ID)
	}
}

// release returns the room that an event took.
func (w *Window) release(e *Event) {
	w.events--
	w.bytes -= e.Draft.Size()
}

// raiseFloor moves the floor past all resolved seqs, and frees the keys that waited for it.
func (w *Window) raiseFloor() {
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
func (w *Window) forget(k *keyQueue) {
	if k.events.first != nil || k.frame != nil || k.heldBy != 0 || k.key == "" {
		return
	}
	delete(w.keys, k.key)
	*k = keyQueue{}
	if len(w.spare) < w.limits.Events {
		w.spare = append(w.spare, k)
	}
}
