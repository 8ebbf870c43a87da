package consume

import "sync/atomic"

// entryOverhead is about what an entry costs beside its key and its encoded state, with the decoded state reckoned as
// large as the encoded one.
const entryOverhead = 200

// budget bounds what all shards of a worker hold of something, in bytes.
type budget struct {
	max  int64
	used atomic.Int64
}

// cache holds the states of a shard's keys as they were committed last, and as they are since. The least recently used
// ones go first when the budget is spent.
type cache struct {
	budget  *budget
	entries map[string]*entry
	lru     entry // of a ring: next is the newest, prev the oldest
	dirty   []*entry
}

type entry struct {
	key        string
	committed  []byte // the envelope, nil if there is none
	state      any    // decoded and perhaps changed; nil: decode committed
	changed    bool
	cost       int64
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
	c.charge(e)
	return e
}

// charge reckons what an entry costs, once its committed state is another one.
func (c *cache) charge(e *entry) {
	cost := int64(entryOverhead + len(e.key) + 2*len(e.committed))
	c.budget.used.Add(cost - e.cost)
	e.cost = cost
}

func (c *cache) front(e *entry) {
	e.prev, e.next = &c.lru, c.lru.next
	e.prev.next, e.next.prev = e, e
}

func (e *entry) unlink() { e.prev.next, e.next.prev = e.next, e.prev }

// change says that an entry's state is not the committed one any more.
func (c *cache) change(e *entry) {
	if !e.changed {
		e.changed = true
		c.dirty = append(c.dirty, e)
	}
}

// settle says that the changes are committed, with these envelopes in the order of dirty, and makes room.
func (c *cache) settle(envelopes [][]byte) {
	for i, e := range c.dirty {
		e.committed, e.changed = envelopes[i], false
		c.charge(e)
	}
	c.dirty = c.dirty[:0]
	for c.budget.used.Load() > c.budget.max && c.lru.prev != &c.lru {
		c.drop(c.lru.prev)
	}
}

// rollback throws the changes away.
func (c *cache) rollback() {
	for _, e := range c.dirty {
		e.state, e.changed = nil, false
	}
	c.dirty = c.dirty[:0]
}

func (c *cache) drop(e *entry) {
	e.unlink()
	delete(c.entries, e.key)
	c.budget.used.Add(-e.cost)
}

// clear drops everything.
func (c *cache) clear() {
	for c.lru.prev != &c.lru {
		c.drop(c.lru.prev)
	}
	c.dirty = c.dirty[:0]
}
