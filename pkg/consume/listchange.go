package consume

import (
	"slices"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/store"
)

// Bounds of the events of a list that one commit drops at an operator's command.
const (
	droppedAtOnce = 4096
	droppedBytes  = 4 << 20 // as they are stored
)

// listChange is what a commit does to a list beside what joins it: events leave it from its beginning, or its head changes.
type listChange struct {
	key  string
	of   *list
	head aside.Head // as it will be
	left bool       // any events

	writes bool   // the key's state changes too
	state  []byte // as it is to be stored; none: it goes
	proof  store.Proof

	applied  int
	receipts map[receiptTo][]uint64
}

// drop counts n more events of the key as dropped, beside its stored state. A state that cannot be read stays as it is.
func (ch *listChange) drop(stored []byte, n uint64) {
	envelope, proof, err := splitStored(stored)
	if err != nil {
		return
	}
	proof.Dropped += n
	ch.writes, ch.proof = true, proof
	ch.state, _ = encode(nil, nil, envelope, proof) // it fails for decoded states only
}

// take takes from an attempt's result the part that still counts; false: none does.
func (ch *listChange) take(rules retryRules, p progress) (_ progress, taken bool) {
	l := ch.of
	if p, taken = l.stamp.take(&l.head, l.proof, p); taken {
		ch.head, ch.left = rules.after(l.head, p)
	}
	return p, taken
}

// toDrop is how many events of a list the next commit may drop, at an operator's command.
func (l *list) toDrop() int {
	return int(min(min(l.head.Mark.Until, l.head.Next)-l.head.First, droppedAtOnce))
}

// dropping is the change that drops the first events of a list, beside the key's stored state.
func (l *list) dropping(key string, events [][]byte, stored []byte) *listChange {
	ch := &listChange{key: key, of: l, receipts: make(map[receiptTo][]uint64)}
	size := uint64(0)
	for _, b := range events {
		if e, err := aside.DecodeEvent(b); err == nil {
			addReceipt(ch.receipts, &e)
		}
		size += uint64(len(b))
	}
	n := uint64(len(events))
	ch.drop(stored, n)
	ch.head = without(l.head, n, size)
	ch.left = ch.head.Len() > 0
	return ch
}

// list is the change as a commit has it.
func (ch *listChange) list() store.List {
	out := store.List{Key: ch.key, Drop: ch.of.head.First, Till: ch.head.First}
	if ch.left {
		out.Head = ch.head.Append(nil)
	}
	return out
}

// parks tells whether the key is parked by the change.
func (ch *listChange) parks() bool {
	return ch.left && ch.head.Status == aside.Parked && ch.of.head.Status != aside.Parked
}

// changeLists makes a commit of changes of several lists. It leaves the position, and all that waits for its commit, as it is: it may
// come in the middle of a round.
func (s *shard) changeLists(changes []*listChange) *store.Commit {
	c := s.nextCommit()
	receipts := make(map[receiptTo][]uint64)
	for _, ch := range changes {
		c.Lists = append(c.Lists, ch.list())
		if ch.writes {
			value := ch.state
			if len(value) == 0 {
				value = nil
			}
			c.States = append(c.States, store.Pair{Key: ch.key, Value: value})
		}
		for to, seqs := range ch.receipts {
			receipts[to] = append(receipts[to], seqs...)
		}
	}
	c.Owed = appendOwed(nil, receipts)
	return c
}

// changedLists says that the commit has happened.
func (s *shard) changedLists(c *store.Commit, changes []*listChange) {
	s.version, s.owed = c.New, c.Owed
	for _, ch := range changes {
		s.changedList(ch)
	}
}

// changedList says that a change of a list is committed. A list of which nothing is left is another one from then on: for events of
// the round at hand that have joined it, and for those that come while a handler of its key still runs.
func (s *shard) changedList(ch *listChange) {
	l := ch.of
	s.asideEvents -= ch.head.First - l.head.First
	s.countParked(&l.head, -1)
	if ch.writes {
		l.proof = ch.proof
		s.refresh(ch.key, ch.state)
	}
	if ch.left {
		s.countParked(&ch.head, 1)
		l.head = ch.head
		return
	}
	delete(s.lists, ch.key)
	if l.joined > 0 || l.call != nil || l.gaveUp {
		s.lists[ch.key] = &list{
			head: aside.Head{First: l.head.Next, Next: l.head.Next}, from: beforeAll, joined: l.joined, call: l.call, gaveUp: l.gaveUp,
		}
	}
}

// released says that no handler of the key runs any more. A list that holds nothing goes.
func (s *shard) released(key string, l *list) {
	if !l.stored && l.joined == 0 && l.call == nil && !l.gaveUp && s.lists[key] == l {
		delete(s.lists, key)
	}
}

// refresh puts a key's committed state into the cache, if the cache has the key. The round at hand has not changed it: its events join
// the key's list.
func (s *shard) refresh(key string, stored []byte) {
	if e := s.cache.entries[key]; e != nil {
		if e.busy || e.changed {
			s.cache.undo(e)
			return
		}
		s.cache.fill(e, slices.Clone(stored))
	}
}
