package consume

import (
	"bytes"
	"errors"
	"slices"
	"sync/atomic"

	"example.com/lockstep/pkg/store"
)

// entryOverhead is about the size of an entry without its key and its state, in bytes. A decoded state counts as twice the size
// of an encoded one.
const entryOverhead = 160

// budget bounds the memory that all shards of a worker use for one purpose, in bytes.
type budget struct {
	max  int64
	used atomic.Int64
}

// cache holds the states of a shard's keys, with what is not committed yet. When the budget is spent, the least recently
// used ones go first; those that hold something uncommitted stay.
type cache struct {
	budget  *budget
	entries map[string]*entry
	lru     entry // of a ring: next is the newest, prev the oldest
	dirty   []*entry
}

// entry is a key's state. There may be a million, so it holds the state once: as it was loaded or, from when it was first
// needed, decoded.
type entry struct {
	key        string
	proof      store.Proof
	envelope   []byte // until it is decoded; nil if there is none
	state      any    // decoded; nil: not yet, or there is none
	bad        error  // the stored state has no readable proof: it stays as it is, and the key's events are not applied
	size       int    // as it is stored
	changed    bool   // by items of the round at hand that are not committed
	last       int32  // the newest of them
	busy       bool   // an attempt is under way
	later      []int  // items of the round that wait for its end
	prev, next *entry
}

func newCache(b *budget) *cache {
	c := &cache{budget: b, entries: make(map[string]*entry)}
	c.lru.prev, c.lru.next = &c.lru, &c.lru
	return c
}

// get returns a key's entry, or nil if it must be loaded first.
func (c *cache) get(key []byte) *entry {
	e := c.entries[string(key)]
	if e != nil && c.lru.next != e {
		e.unlink()
		c.front(e)
	}
	return e
}

// add makes an entry that is to be filled in.
func (c *cache) add(key string) *entry {
	e := &entry{key: key}
	c.entries[key] = e
	c.front(e)
	c.budget.used.Add(e.cost())
	return e
}

// fill takes a state as it is stored.
func (c *cache) fill(e *entry, stored []byte) {
	e.set(stored)
	c.resize(e, len(stored))
}

// set makes the entry's state the stored one; with no bytes there is none. The entry keeps stored.
func (e *entry) set(stored []byte) {
	e.envelope, e.proof, e.bad = splitStored(stored)
	e.state = nil
}

// splitStored splits a stored state, if there is one.
func splitStored(stored []byte) (envelope []byte, p store.Proof, err error) {
	if len(stored) == 0 {
		return nil, store.Proof{}, nil
	}
	p, envelope, err = store.SplitState(stored)
	if len(envelope) == 0 {
		envelope = nil
	}
	return envelope, p, err
}

// stored is the entry's state as it is to be stored. It never returns nil without an error: no bytes say that there is nothing. A key
// whose events were all given up has a proof and no state.
func (e *entry) stored(h Handler) (b []byte, err error) {
	defer recovered(&err)
	return encode(h, e.state, e.envelope, e.proof)
}

// encode encodes a state, which is decoded or an envelope, with its proof. The handler may panic.
func encode(h Handler, state any, envelope []byte, p store.Proof) (b []byte, err error) {
	if state == nil && envelope == nil && p == (store.Proof{}) {
		return []byte{}, nil
	}
	proof := p.Append(nil)
	if state == nil {
		return append(proof, envelope...), nil
	}
	if b, err = h.Encode(proof, state); err == nil && !bytes.HasPrefix(b, proof) {
		err = errors.New("the handler's Encode has not appended to the bytes that it was given")
	}
	return b, err
}

func (c *cache) resize(e *entry, size int) {
	c.budget.used.Add(int64(2 * (size - e.size)))
	e.size = size
}

func (e *entry) cost() int64 { return int64(entryOverhead + len(e.key) + 2*e.size) }

func (c *cache) front(e *entry) {
	e.prev, e.next = &c.lru, c.lru.next
	e.prev.next, e.next.prev = e, e
}

func (e *entry) unlink() { e.prev.next, e.next.prev = e.next, e.prev }

// change says that an entry's state holds the item at i, which is not committed.
func (c *cache) change(e *entry, i int) {
	e.last = int32(i)
	if !e.changed {
		e.changed = true
		c.dirty = append(c.dirty, e)
	}
}

// settle says that these entries are committed, with these states, as far as items before end have changed them. Then it
// makes room. Entries that later items have changed stay.
func (c *cache) settle(written []*entry, states []store.Pair, end int) {
	for i, e := range written {
		e.changed = int(e.last) >= end
		c.resize(e, len(states[i].Value))
	}
	c.dirty = slices.DeleteFunc(c.dirty, func(e *entry) bool { return !e.changed })
	for e := c.lru.prev; c.budget.used.Load() > c.budget.max && e != &c.lru; {
		oldest := e
		e = e.prev
		if !oldest.changed {
			c.drop(oldest)
		}
	}
}

// dropped tells whether an entry is no longer the cache's: its state is not to be used.
func (e *entry) dropped() bool { return e.prev == nil }

// undo throws a state away: it is to be loaded again.
func (c *cache) undo(e *entry) {
	if e.changed {
		c.dirty = slices.DeleteFunc(c.dirty, func(dirty *entry) bool { return dirty == e })
	}
	if !e.dropped() {
		c.drop(e)
	}
}

func (c *cache) drop(e *entry) {
	e.unlink()
	e.prev, e.next = nil, nil
	delete(c.entries, e.key)
	c.budget.used.Add(-e.cost())
}

// clear drops everything.
func (c *cache) clear() {
	for c.lru.prev != &c.lru {
		c.drop(c.lru.prev)
	}
	c.dirty = c.dirty[:0]
}
