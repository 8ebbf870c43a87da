package consume

import (
	"sync/atomic"
	"time"

	"example.com/lockstep/pkg/dedup"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
)

// shard holds an owner's knowledge of its shard and makes the decisions: which events to apply, to set aside, to drop, to commit. It
// has no goroutine, no clock and no connection.
//
// A round is run in passes (beginPass, begin, ended), and each pass is followed by a commit (commit, committed) of the outcomes before
// the first item that has none. Outcomes behind it wait here, in the cache and in the items. They belong to this claim alone: the
// next one begins with what is committed.
type shard struct {
	n        int
	fence    uint64
	version  store.Version
	position store.Position
	owed     []byte // receipts, by the last commit
	late     uint64
	lateLast string
	logEnd   uint64 // at the claim: up to it a janitor that had looked before may purge under us
	record   dedup.Record
	cache    *cache
	lists    map[string]*list // by key, of those with events that are set aside

	asideEvents uint64 // in all lists, committed or not
	parked      int    // lists
	caps        caps   // zero: there are none
	rules       retryRules

	pass    pass
	spent   atomic.Bool // the handler has had its time: nothing more is to be begun
	careful bool        // states are kept as they were behind each event: the handler has failed, or keys run side by side

	wanted   []*entry               // to be filled in
	tally    tally                  // of the items that are not committed
	written  []*entry               // whose states the commit holds, in its order
	receipts map[receiptTo][]uint64 // of the commit
	joined   []store.List           // likewise
	order    *listChange            // by an operator's command, which is the commit's only item
	now      time.Time              // of the commit
}

// claimed makes a shard of its record as it was at the claim. Its publishers and lists are still to be restored.
func claimed(n int, rec store.Record, b *budget) *shard {
	return &shard{
		n: n, fence: rec.Fence, version: rec.Version, position: rec.Position, owed: rec.Owed, late: rec.Late, lateLast: rec.LateLast,
		cache: newCache(b), lists: make(map[string]*list), receipts: make(map[receiptTo][]uint64),
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
	return s.position.Seq
}

// missing finds the states of the events that are still to be applied, and returns the keys of those that are not in the
// cache, each once. They are to be loaded, and filled in, before each pass. Events that join a list need none.
func (s *shard) missing(r *round) []string {
	for _, e := range s.wanted { // that were never filled in
		s.cache.drop(e)
	}
	s.wanted = s.wanted[:0]
	var keys []string
	for i := r.next; i < len(r.items); i++ {
		it := &r.items[i]
		if it.outcome.done() || it.command || s.joins(r, i) {
			continue
		}
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
