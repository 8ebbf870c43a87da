package consume

import (
	"errors"
	"math"
	"slices"
)

// maxResults bounds the encoded states that a round keeps beside the cache, in bytes. Behind more, nothing is begun.
const maxResults = 256 << 10

// pass is one run through a round, in the log's order. Keys may run side by side, one key never does.
type pass struct {
	cursor    int       // items before it were looked at
	ready     []int     // items before it that waited for their key, and do so no longer
	admission admission // of the items at r.seen
	held      bool      // nothing more is to be begun
	underWay  int       // attempts
	tried     int       // first attempts that have ended
	room      int       // for first attempts that may begin
	bad       int       // first attempts that failed
	blocked   bool      // an item was not begun: there was no room, or the shard is braked
	failures  []failure // of these, with those that were set aside as running
}

// failure is an attempt to apply an item that failed.
type failure struct {
	item  int
	key   string
	event string // its id
	err   error
}

func (f *failure) Error() string { return f.err.Error() }

// beginPass begins a pass. The states of the keys in question are in the cache (missing, fill).
func (s *shard) beginPass(r *round) {
	s.pass = pass{cursor: r.next, ready: s.pass.ready[:0], admission: admission{part: -1}, failures: s.pass.failures[:0], room: math.MaxInt}
}

// beside says that attempts run side by side from now on: a commit may then end between two events of a key, and needs its state
// as it was there.
func (s *shard) beside(h Handler, r *round) {
	s.careful = true
	for _, e := range s.cache.dirty {
		if e.busy || r.result(int(e.last)) != nil {
			continue
		}
		if b, err := e.stored(h); err == nil {
			r.keep(int(e.last), b)
		}
	}
}

// begin makes the next attempt. It returns false if none can be made now: when nothing is under way, the pass is over.
//
//   - Items of a key with a list join it. So do all behind an item of their key that is set aside.
//   - An item waits while an attempt of its key is under way.
//   - Behind what is begun at least, nothing is begun when the handler has had its time (spent), when too much waits to be
//     committed, or when there is no room to set aside what may fail. The item at r.next is tried nevertheless.
//   - An operator's command is the only item of its commit: the pass ends before it.
func (s *shard) begin(r *round, a *attempt) bool {
	for {
		i, ok := s.next(r)
		if !ok {
			return false
		}
		it := &r.items[i]
		switch {
		case it.outcome.done(), it.outcome == pending && i > r.next && s.held(r):
		case s.joins(r, i):
			s.join(r, i)
		case it.entry == nil, it.entry.dropped(): // its state is to be loaded, in the next pass: its list was worked off in this one
		case it.entry.busy:
			it.entry.later = append(it.entry.later, i)
		case it.outcome == failed:
			s.decide(r, i)
		default:
			s.attempt(r, i, a)
			return true
		}
	}
}

// next returns the next item to look at, or false if there is none, or no room for it.
func (s *shard) next(r *round) (i int, ok bool) {
	p := &s.pass
	if len(p.ready) > 0 {
		if i = p.ready[0]; s.full(r, i) {
			return 0, false
		}
		p.ready = p.ready[1:]
		return i, true
	}
	i = p.cursor
	if i == len(r.items) || r.items[i].command || s.full(r, i) || i == r.seen && i > r.next && s.held(r) {
		return 0, false
	}
	p.cursor++
	if i == r.seen {
		r.seen++
		if !s.admit(&p.admission, r, i) {
			r.items[i].outcome = skipped
		}
	}
	return i, true
}

// held tells whether nothing more is to be begun in the pass, but for the item at r.next and those that were undone.
func (s *shard) held(r *round) bool {
	s.pass.held = s.pass.held || s.spent.Load() || r.resultBytes > maxResults || s.pass.bad >= brakeKeys // so that the brake sees them soon
	return s.pass.held
}

// full tells whether an item may not be looked at now: there is no room to set it aside beside those under way, or the brake does not
// let it begin.
func (s *shard) full(r *round, i int) bool {
	if r.items[i].outcome != pending {
		return false
	}
	full := false
	switch capped := s.caps != (caps{}); {
	case s.joins(r, i):
		full = capped && !s.caps.joins(s.extent())
	default:
		full = s.pass.room <= 0 || capped && !s.caps.begins(s.extent())
	}
	s.pass.blocked = s.pass.blocked || full
	return full
}

// extent is how much is set aside, and may become so.
func (s *shard) extent() extent {
	return extent{keys: uint64(len(s.lists)), events: s.asideEvents, underWay: uint64(s.pass.underWay)}
}

// attempt makes an attempt. Once the handler has failed, the key's state is encoded behind each event: so the state to go back
// to is at hand, and an event that makes a state which cannot be encoded is found out.
func (s *shard) attempt(r *round, i int, a *attempt) {
	it := &r.items[i]
	e := it.entry
	e.busy = true
	s.pass.underWay++
	if it.outcome == pending {
		s.pass.room--
	}
	*a = attempt{
		item: i, key: e.key, ev: s.event(r, it, &r.parts[it.part], e.key),
		state: e.state, envelope: e.envelope, bad: e.bad, proof: e.proof, careful: s.careful,
	}
}

// ended takes an attempt's result.
func (s *shard) ended(r *round, a *attempt, res *result) {
	it := &r.items[a.item]
	e := it.entry
	s.settled(e, it.outcome == pending)
	if res.err == nil {
		e.state, e.envelope, e.proof = res.state, nil, res.proof
		if a.careful {
			r.keep(a.item, res.stored)
		}
		it.outcome = applied
		s.cache.change(e, a.item)
		return
	}
	s.failed(r, a, trouble{err: res.err})
}

// overdue sets an attempt aside that still runs.
func (s *shard) overdue(r *round, a *attempt, c *call) {
	it := &r.items[a.item]
	s.settled(it.entry, it.outcome == pending)
	s.failed(r, a, trouble{err: errRunning, call: c})
}

// settled says that an attempt of a key is not under way any more: the key's items that waited for it come next.
func (s *shard) settled(e *entry, first bool) {
	s.pass.underWay--
	if first {
		s.pass.tried++
	}
	e.busy = false
	if len(e.later) > 0 {
		s.pass.ready = append(s.pass.ready, e.later...)
		e.later = nil
	}
}

// failed notes why an item was not applied. Its key goes back to its state before the attempt, and the item is set aside, or
// counted as given up. If that state was not kept, the key goes back to its committed state, and the items that are undone by it
// come first, in the next pass.
func (s *shard) failed(r *round, a *attempt, t trouble) {
	if r.items[a.item].outcome == pending && t.call == nil && !errors.Is(t.err, errDropped) {
		s.pass.bad++
	}
	r.fail(a.item, t)
	s.pass.failures = append(s.pass.failures, failure{item: a.item, key: a.key, event: a.ev.ID(), err: t.err})
	if again := s.undo(r, r.items[a.item].entry, false); !again {
		s.decide(r, a.item)
	}
	if !r.items[a.item].outcome.done() { // what was begun behind it might have to be repeated
		s.pass.held = true
	}
}

// decide gives an item that failed its outcome: all earlier ones of its key have theirs.
func (s *shard) decide(r *round, i int) {
	it := &r.items[i]
	if !errors.Is(r.troubles[i].err, errDropped) {
		s.join(r, i)
		return
	}
	e := it.entry
	if e.dropped() { // its state is to be loaded again, in the next pass
		return
	}
	if b := r.result(int(e.last)); e.changed && b != nil {
		e.set(slices.Clone(b))
	}
	e.proof.Dropped++
	it.outcome = given
	s.cache.change(e, i)
	if e.state == nil {
		b, _ := e.stored(nil)
		r.keep(i, b)
	}
}

// undo gives a key back its state from before the attempt that failed. If that was not kept, or with all, the key goes back
// to its committed state: the round's items of this key are undone, and are to be applied again.
func (s *shard) undo(r *round, e *entry, all bool) (again bool) {
	s.careful = true
	if e.changed {
		if b := r.result(int(e.last)); b != nil && !all {
			e.set(slices.Clone(b)) // a commit may take b, and the next state may be made of this one
			return false
		}
		r.undo(e)
		again = true
	}
	s.cache.undo(e)
	return again
}
