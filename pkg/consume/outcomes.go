package consume

// outcome is the state of an item that is not committed.
type outcome uint8

const (
	pending  outcome = iota // to be applied, or to join its key's list
	undone                  // it was applied, and is to be applied again: its key's state was not kept
	failed                  // its attempt failed, and is not repeated here; earlier items of its key are undone, and come first
	applied                 // its key's state holds it
	given                   // the handler gave it up: its key's proof counts it
	setAside                // it joins its key's list
	skipped                 // a copy, or of a session that was closed or forgotten
)

// done tells whether a commit may cover the item.
func (o outcome) done() bool { return o >= applied }

// changes tells whether the outcome changes the key's stored state.
func (o outcome) changes() bool { return o == applied || o == given }

// trouble is why an item was not applied.
type trouble struct {
	err  error
	call *call // the attempt, if it still runs
}

// complete is the first item that has no outcome to commit.
func (r *round) complete() int {
	i := r.next
	for i < r.seen && r.items[i].outcome.done() {
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
		if it := &r.items[i]; it.entry == e && it.outcome.changes() {
			return i
		}
	}
	return -1
}

// fail keeps why an item was not applied.
func (r *round) fail(i int, t trouble) {
	if r.troubles == nil {
		r.troubles = make(map[int]trouble)
	}
	r.troubles[i] = t
	r.items[i].outcome = failed
	r.failures++
}

// undo says that a key went back to its committed state. Its items are to be applied again, but for those that the handler gave
// up: they are not tried again.
func (r *round) undo(e *entry) {
	for i := r.next; i < r.seen; i++ {
		it := &r.items[i]
		if it.entry != e {
			continue
		}
		switch it.outcome {
		case applied:
			it.outcome = undone
		case given:
			it.outcome = failed
		default:
			continue
		}
		r.forget(i)
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

// uncommitted tells whether a handler has run whose outcome waits for its commit.
func (r *round) uncommitted() bool {
	for i := r.next; i < r.seen; i++ {
		if o := r.items[i].outcome; o.changes() || o == setAside {
			return true
		}
	}
	return false
}

// applied is how many items before end are applied and not committed.
func (r *round) applied(end int) (n int) {
	for i := r.next; i < end; i++ {
		if r.items[i].outcome == applied {
			n++
		}
	}
	return n
}
