package consume

import (
	"context"
	"fmt"

	"example.com/lockstep/pkg/dedup"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
)

// shard is what the owner of a shard knows, and its decisions: what to apply, what to drop, what to commit. It has no
// goroutine, no clock and no connection.
//
// A commit covers a segment of a round: all of it, unless the handler takes its time or fails. After roundTime the segment
// ends with the event at hand. When the handler fails, what the segment has changed is thrown away, the events before the
// failing one are a segment of their own, and the failing one begins the next.
type shard struct {
	n        int
	fence    uint64
	version  store.Version
	position store.Position
	since    uint64
	late     uint64
	lateLast string
	logEnd   uint64 // at the claim: up to it a janitor that had looked before may purge under us
	record   dedup.Record
	cache    *cache
	stint    stint

	wanted     []*entry               // to be filled in
	receipts   map[receiptTo][]uint64 // of the segment
	encoded    [][]byte               // of the segment's changed states, in the order of cache.dirty
	duplicates int                    // of the segment
	suspect    suspect                // of the segment
}

// claimed makes a shard of what the store knew when it was claimed. Its publishers are still to be restored.
func claimed(n int, rec store.Record, b *budget) *shard {
	return &shard{
		n: n, fence: rec.Fence, version: rec.Version, position: rec.Position, since: rec.RoundStart, late: rec.Late, lateLast: rec.LateLast,
		cache: newCache(b), receipts: make(map[receiptTo][]uint64),
	}
}

// restore takes a publisher as the store has it, and tells whether it is a new one.
func (s *shard) restore(id string, encoded []byte) (added bool, err error) {
	p, err := frame.ParsePublisherID(id)
	if err != nil {
		return false, err
	}
	before := s.record.Len()
	if err := s.record.Restore(p, encoded); err != nil {
		return false, err
	}
	return s.record.Len() > before, nil
}

// start is the stream sequence from which the log is to be read, 0 for its first.
func (s *shard) start() uint64 {
	if s.position.Time.IsZero() && s.position.Seq > 0 {
		return s.position.Seq + 1
	}
	return min(s.since, s.position.Seq)
}

// missing finds the states of the events that are still to be applied, and returns the keys of those that are not in the
// cache, each once. They are to be loaded, and filled in.
func (s *shard) missing(r *round) []string {
	for _, e := range s.wanted { // that were never filled in
		s.cache.drop(e)
	}
	s.wanted = s.wanted[:0]
	var keys []string
	for i := r.next; i < len(r.items); i++ {
		it := &r.items[i]
		if it.entry = s.cache.get(it.key); it.entry == nil {
			it.entry = s.cache.add(string(it.key))
			s.wanted = append(s.wanted, it.entry)
			keys = append(keys, it.entry.key)
		}
	}
	return keys
}

// fill takes the states of the keys that missing returned, nil where there is none.
func (s *shard) fill(states [][]byte) {
	for i, e := range s.wanted {
		s.cache.fill(e, states[i])
	}
	s.wanted = s.wanted[:0]
}

// failure is an event that could not be applied.
type failure struct {
	item  int
	key   string
	event string // its id
	err   error
}

func (f *failure) Error() string { return f.err.Error() }

// apply applies the items from r.next up to limit, or fewer if the handler takes its time, and returns what is to be committed
// and the item behind the last one applied. If the handler fails, nothing of the segment has happened.
func (s *shard) apply(ctx context.Context, h Handler, r *round, limit int) (c *store.Commit, end int, f *failure) {
	s.stint.begin()
	defer s.stint.end()
	c = &store.Commit{Shard: s.n, Old: s.version, New: store.NewVersion(), Late: s.late, LateLast: s.lateLast}
	var (
		publisher *dedup.Publisher
		verdict   dedup.Verdict
		at        = -1 // the part that publisher and verdict are of
	)
	for i := r.next; i < limit; i++ {
		it := &r.items[i]
		p := &r.parts[it.part]
		if !p.plain {
			if it.part != at {
				publisher, verdict = s.record.Part(p.session, p.floor, r.msgs[it.msg].time)
				at = it.part
				if verdict == dedup.Open {
					s.suspect.part(p.session, publisher, p.floor)
				}
			}
			if verdict == dedup.Late {
				c.Late++
				c.LateLast = fmt.Sprintf("publisher %s seq %d at %s", p.session.Publisher, it.ev.Seq, store.Position{Epoch: r.at.Epoch, Seq: r.msgs[it.msg].seq, Time: r.msgs[it.msg].time})
				continue
			}
			if verdict == dedup.Closed {
				s.suspect.isClosed(p.session, it.ev.Seq, s.record.Newest(p.session.Publisher))
				continue
			}
			if !publisher.Admit(it.ev.Seq) {
				s.duplicates++
				continue
			}
		}
		if err := s.applyOne(ctx, h, r, it, p); err != nil {
			s.rollback()
			ev := s.event(r, it, p, string(it.key))
			return nil, 0, &failure{item: i, key: ev.Key, event: ev.ID(), err: err}
		}
		if it.ev.Receipt {
			to := receiptTo{p.session.Publisher, p.session.Generation}
			s.receipts[to] = append(s.receipts[to], it.ev.Seq)
		}
		if s.stint.spent.Load() {
			limit = i + 1
		}
	}
	if f = s.encode(h, c); f != nil {
		// The state became so by one of its key's events. If by an earlier one, those before this one will fail again.
		for f.item = limit - 1; string(r.items[f.item].key) != f.key; f.item-- {
		}
		it := &r.items[f.item]
		ev := s.event(r, it, &r.parts[it.part], f.key)
		f.event = ev.ID()
		s.rollback()
		return nil, 0, f
	}
	c.Position = r.position(limit, s.position)
	c.RoundStart = s.since
	if c.Position != s.position {
		c.RoundStart = r.msgs[0].seq
	}
	s.record.Changes(func(id frame.PublisherID, encoded []byte) {
		c.Dedup = append(c.Dedup, store.Pair{Key: id.String(), Value: encoded})
	})
	return c, limit, nil
}

func (s *shard) applyOne(ctx context.Context, h Handler, r *round, it *item, p *part) (err error) {
	defer recovered(&err)
	e := it.entry
	if e == nil || e.dropped() {
		return fmt.Errorf("state of key %q was not loaded", it.key) // a bug: missing is called before every segment
	}
	s.stint.key.Store(&e.key)
	if e.state == nil {
		state, err := h.Decode(e.loaded)
		if err != nil {
			return err
		}
		e.state, e.loaded = state, nil
	}
	s.cache.change(e)
	return h.Apply(ctx, e.state, s.event(r, it, p, e.key))
}

// event is an item as handlers see it.
func (s *shard) event(r *round, it *item, p *part, key string) Event {
	m := &r.msgs[it.msg]
	ev := Event{Key: key, Time: m.time, Shard: s.n, Fence: s.fence}
	if p.plain {
		ev.Data, ev.Type, ev.epoch, ev.seq, ev.header = m.data, it.typ, r.at.Epoch, m.seq, m.header
	} else {
		ev.Data, ev.publisher, ev.seq, ev.framed = it.ev.Data, p.session.Publisher, it.ev.Seq, &it.ev
		if len(it.ev.Type) > 0 {
			ev.Type = string(it.ev.Type)
		}
	}
	return ev
}

// encode puts the changed states into the commit.
func (s *shard) encode(h Handler, c *store.Commit) *failure {
	s.encoded = s.encoded[:0]
	for _, e := range s.cache.dirty {
		s.stint.key.Store(&e.key)
		b, err := encode(h, e.state)
		if err != nil {
			return &failure{key: e.key, err: err}
		}
		s.encoded = append(s.encoded, b)
		c.States = append(c.States, store.Pair{Key: e.key, Value: b})
	}
	return nil
}

func encode(h Handler, state any) (b []byte, err error) {
	defer recovered(&err)
	return h.Encode(nil, state)
}

// committed says that the commit has happened.
func (s *shard) committed(c *store.Commit, r *round, end int) {
	s.version, s.position, s.since, s.late, s.lateLast = c.New, c.Position, c.RoundStart, c.Late, c.LateLast
	s.record.Clean()
	s.cache.settle(s.encoded)
	clear(s.receipts)
	s.duplicates, s.suspect = 0, suspect{}
	r.next = end
}

// rollback takes back what the segment has changed.
func (s *shard) rollback() {
	s.record.Rollback()
	s.cache.rollback()
	clear(s.receipts)
	s.duplicates, s.suspect = 0, suspect{}
}
