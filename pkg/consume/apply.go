package consume

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/lockstep/pkg/store"
)

// maxWaiting is how many keys of a round may wait for another attempt. Behind more, nothing is begun: a handler that fails
// all would run once for each key, to no purpose.
const maxWaiting = 16

// maxResults bounds the encoded states that a round keeps beside the cache, in bytes. Behind more, nothing is begun.
const maxResults = 256 << 10

// failure is an attempt to apply an item that failed.
type failure struct {
	item  int
	key   string
	event string // its id
	err   error
}

func (f *failure) Error() string { return f.err.Error() }

// run goes through the round once, in the log's order, and applies its items. What it did comes back in the items' outcomes,
// and failures tells more of those that failed.
//
//   - An item that fails leaves its key's state as it was before, and later items of its key wait. Other keys go on.
//   - The pass ends at an item that fails if all before it can be committed: they are committed first. It also ends if
//     earlier items of its key had to be undone: they are applied first.
//   - It ends after the event at hand when the handler has taken its time, or when too much waits behind an item that
//     failed. The item at r.next is tried nevertheless, and those that were undone.
func (s *shard) run(ctx context.Context, h Handler, r *round) (failures []failure) {
	s.stint.begin()
	defer s.stint.end()
	s.pass++
	a, waiting := admission{part: -1}, 0
	for i := r.next; i < len(r.items); i++ {
		it := &r.items[i]
		if it.outcome == pending && i > r.next && (s.stint.spent.Load() || waiting > maxWaiting || r.resultBytes > maxResults) {
			break
		}
		if i == r.seen {
			r.seen++
			if !s.admit(&a, r, i) {
				it.outcome = dropped
			}
		}
		if it.outcome == applied || it.outcome == dropped {
			continue
		}
		if it.outcome != failed && it.entry.held != s.pass {
			err := s.try(ctx, h, r, i)
			if err == nil {
				it.outcome = applied
				s.cache.change(it.entry, i)
				continue
			}
			it.outcome = failed
			failures = append(failures, s.failure(r, i, err))
			if s.undo(r, it.entry, false) || ctx.Err() != nil {
				break
			}
		}
		if it.entry.held != s.pass {
			it.entry.held = s.pass
			waiting++
		}
		if i > r.next && r.complete() == i {
			break
		}
	}
	return failures
}

// try makes an attempt to apply an item. Once the handler has failed, the key's state is encoded after each event: so the
// state to go back to is at hand, and an event that makes a state which cannot be encoded is found out.
func (s *shard) try(ctx context.Context, h Handler, r *round, i int) (err error) {
	defer recovered(&err)
	it := &r.items[i]
	e := it.entry
	if e == nil || e.dropped() {
		return fmt.Errorf("state of key %q was not loaded", it.key) // a bug: missing is called before every pass
	}
	s.stint.key.Store(&e.key)
	if e.state == nil {
		state, err := h.Decode(e.envelope)
		if err != nil {
			return err
		}
		e.state, e.envelope = state, nil
	}
	ev := s.event(r, it, &r.parts[it.part], e.key)
	switch err := h.Apply(ctx, e.state, ev); {
	case err == nil:
		e.proof = e.proof.Apply(ev.Data)
	case errors.Is(err, Delete):
		e.proof, e.state = store.Proof{}, nil
	default:
		return err
	}
	if !s.careful {
		return nil
	}
	b, err := e.stored(h)
	if err == nil {
		r.keep(i, b)
	}
	return err
}

// undo gives a key back its state from before the attempt that failed. If that was not kept, or with all, the key goes back
// to its committed state: the round's items of this key are undone, and are to be applied again.
func (s *shard) undo(r *round, e *entry, all bool) (again bool) {
	s.careful = true
	r.failures++
	if e.changed {
		if b := r.result(int(e.last)); b != nil && !all {
			_ = e.set(slices.Clone(b)) // a commit may take b, and the next state may be made of this one
			return false
		}
		r.undo(e)
		again = true
	}
	s.cache.undo(e)
	return again
}

func (s *shard) failure(r *round, i int, err error) failure {
	it := &r.items[i]
	ev := s.event(r, it, &r.parts[it.part], string(it.key))
	return failure{item: i, key: ev.Key, event: ev.ID(), err: err}
}
