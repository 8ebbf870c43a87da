package consume

import (
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
)

// commit makes a commit of the items from r.next up to end, the first that has no outcome: a commit covers a prefix of the log.
// now is the clock's time, for lists. commit returns nil if there are no such items, or if the item at end was undone or waits for
// its key's state: run the round once more at once.
func (s *shard) commit(h Handler, r *round, now time.Time) (_ *store.Commit, end int) {
	end = r.complete()
	if end == r.next && !r.done() || end < r.seen && (r.items[end].outcome == undone || r.items[end].outcome == failed) {
		return nil, end
	}
	c := s.nextCommit()
	c.Position = r.position(end, s.position)
	if !s.write(h, r, c, end) {
		return nil, end
	}
	if end < r.seen { // the record has seen more
		s.record.Rollback()
		s.readmit(r, r.next, end)
	}
	s.record.Changes(func(id frame.PublisherID, encoded []byte) {
		c.Dedup = append(c.Dedup, store.Pair{Key: id.String(), Value: encoded})
	})
	c.Late, c.LateLast = s.late+uint64(s.tally.late), s.lateLast
	if s.tally.late > 0 {
		c.LateLast = s.tally.lateLast
	}
	r.receipts(s.receipts, end)
	c.Owed = appendOwed(nil, s.receipts)
	s.now = now
	s.joined = s.joining(r, end, now)
	c.Lists = s.joined
	if s.order != nil {
		c.Lists = append(c.Lists, s.order.list())
	}
	return c, end
}

// nextCommit is a commit that changes nothing yet, but for the version.
func (s *shard) nextCommit() *store.Commit {
	return &store.Commit{
		Shard: s.n, Old: s.version, New: store.NewVersion(), Position: s.position, Late: s.late, LateLast: s.lateLast,
	}
}

// write puts the states that the items before end have changed into the commit. It returns false if one of them cannot be
// encoded, or was changed by later items and not kept as it was before. Such keys are undone.
func (s *shard) write(h Handler, r *round, c *store.Commit, end int) bool {
	s.written = s.written[:0]
	var unknown []*entry
	for _, e := range s.cache.dirty {
		at := r.lastOf(e, end)
		if at < 0 {
			continue
		}
		b := r.result(at)
		if b == nil && at == int(e.last) {
			b, _ = e.stored(h) // its error comes back when the items are applied one by one
		}
		if b == nil {
			unknown = append(unknown, e)
			continue
		}
		if len(b) == 0 {
			b = nil // the state goes
		}
		s.written = append(s.written, e)
		c.States = append(c.States, store.Pair{Key: e.key, Value: b})
	}
	for _, e := range unknown {
		s.undo(r, e, true)
	}
	return len(unknown) == 0
}

// committed says that the commit has happened.
func (s *shard) committed(c *store.Commit, r *round, end int) {
	s.version, s.position, s.owed, s.late, s.lateLast = c.New, c.Position, c.Owed, c.Late, c.LateLast
	s.record.Clean()
	s.cache.settle(s.written, c.States, end)
	s.joinedLists(s.joined, s.now)
	if s.order != nil {
		s.changedList(s.order)
		s.order = nil
	}
	clear(s.receipts)
	s.tally = tally{}
	r.committed(end)
	if end < r.seen {
		s.readmit(r, end, r.seen)
	}
	if r.done() {
		s.careful = r.failures > 0
	}
}
