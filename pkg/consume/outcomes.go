package consume

// outcome is the state of an item that is not committed.
type outcome uint8

const (
	pending outcome = iota // to be applied
	applied                // its key's state holds it
	undone                 // it was applied, and is to be applied again: its key's state was not kept
	failed                 // the newest attempt failed; it is to be retried
	dropped                // a copy, or of a session that was closed or forgotten
)

// complete is the first item that has no outcome to commit.
func (r *round) complete() int {
	i := r.next
	for i < r.seen && (r.items[i].outcome == applied || r.items[i].outcome == dropped) {
		i++
	}
	return i
}

// lastOf is the last item before end that has changed a key's state, or -1.
func (r *round) lastOf(e *entry, end int) int {
	if int(e.last) < end {
		return int(e.last)
	}
	for i := end - 1; i >= r.next; i-- {
		if it := &r.items[i]; it.entry == e && it.outcome == applied {
			return i
		}
	}
	return -1
}

// retry makes the items that failed pending again.
func (r *round) retry() {
	for i := r.next; i < r.seen; i++ {
		if r.items[i].outcome == failed {
			r.items[i].outcome = pending
		}
	}
}

// undo says that a key went back to its committed state.
func (r *round) undo(e *entry) {
	for i := r.next; i < r.seen; i++ {
		if it := &r.items[i]; it.entry == e && it.outcome == applied {
			it.outcome = undone
			r.forget(i)
		}
	}
}

// keep keeps the state of an item's key after the item.
func (r *round) keep(i int, state []byte) {
	if r.results == nil {
		r.results = make([][]byte, len(r.items))
	}
	r.results[i] = state
	r.resultBytes += len(state)
}

// result is the state of an item's key after the item, if it was kept; else nil.
func (r *round) result(i int) []byte {
	if r.results == nil {
		return nil
	}
	return r.results[i]
}

func (r *round) forget(i int) {
	if r.results != nil {
		r.resultBytes -= len(r.results[i])
		r.results[i] = nil
	}
}

// committed says that the items before end are committed.
func (r *round) committed(end int) {
	if r.results != nil {
		for i := r.next; i < end; i++ {
			r.forget(i)
		}
	}
	r.next = end
}

// uncommitted tells whether an item was applied and waits for its commit.
func (r *round) uncommitted() bool {
	for i := r.next; i < r.seen; i++ {
		if r.items[i].outcome == applied {
			return true
		}
	}
	return false
}
