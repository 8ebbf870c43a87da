package storetest

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"example.com/lockstep/pkg/store"
)

// Memory is a store in memory, for tests that run more histories a second than a server allows. Each of its slots can
// go back in time by itself, like a node of a cluster that loses its latest writes, and can be torn.
type Memory struct {
	mu   sync.Mutex // guards what follows
	kept Snapshot
}

// Snapshot is all that a Memory holds. Values in it are never changed, only replaced.
type Snapshot struct {
	slots  map[int]slot
	tokens map[string]string
}

func (s Snapshot) clone() Snapshot {
	return Snapshot{slots: maps.Clone(s.slots), tokens: maps.Clone(s.tokens)}
}

// NewMemory makes an empty one.
func NewMemory() *Memory {
	m := new(Memory)
	m.Wipe()
	return m
}

// Wipe empties m, as FLUSHALL does.
func (m *Memory) Wipe() {
	m.Restore(Snapshot{slots: make(map[int]slot), tokens: make(map[string]string)})
}

// LoseAll removes a shard's slot.
func (m *Memory) LoseAll(shard int) { m.RestoreSlot(shard, Snapshot{}) }

// Lose removes a shard's record, past all checks: its slot is torn.
func (m *Memory) Lose(shard int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept.slots[shard] = slot{hashes: m.kept.slots[shard].hashes}
}

// LoseState removes the bucket that holds a key's state, past all checks: the slot is torn, if it was claimed.
func (m *Memory) LoseState(shard int, key string) { m.LoseHash(shard, bucketOf(key)) }

// LoseHeads removes the hash with the heads of a shard's lists, past all checks: the slot is torn, if it was claimed.
func (m *Memory) LoseHeads(shard int) { m.LoseHash(shard, memoryHeads) }

// LoseEvent removes the hash that holds an event of a key's list, past all checks: the slot is torn, if it was claimed.
func (m *Memory) LoseEvent(shard int, key string, index uint64) {
	m.LoseHash(shard, eventsOf(key, index))
}

// LoseHash removes one of the Hashes of a shard's slot, past all checks: the slot is torn, if it was claimed.
func (m *Memory) LoseHash(shard, n int) { m.RestoreHash(shard, n, Snapshot{}) }

// Needs is the least format that a version must know to use a shard's slot; 0 if nobody has claimed it.
func (m *Memory) Needs(shard int) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept.slots[shard].needs
}

// Need makes a shard's record one that a later version has written, in that format.
func (m *Memory) Need(shard int, format uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.kept.slots[shard]
	s.needs = format
	m.kept.slots[shard] = s
}

// Snapshot returns a copy of all that m holds.
func (m *Memory) Snapshot() Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept.clone()
}

// Restore sets m back to a snapshot.
func (m *Memory) Restore(s Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = s.clone()
}

// RestoreSlot sets one shard back to a snapshot.
func (m *Memory) RestoreSlot(shard int, s Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if back, is := s.slots[shard]; is {
		m.kept.slots[shard] = back
	} else {
		delete(m.kept.slots, shard)
	}
}

// RestoreHash sets one of the Hashes of a shard's slot back to a snapshot, apart from the rest of the slot, past all checks: the slot
// is torn, if the hash was written to meanwhile.
func (m *Memory) RestoreHash(shard, n int, s Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.kept.slots[shard]
	now.hashes[n] = s.slots[shard].hashes[n]
	m.kept.slots[shard] = now
}

// States are the states of all keys of all shards, sorted by key.
func (m *Memory) States() []store.Pair {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []store.Pair
	for _, s := range m.kept.slots {
		for _, b := range s.hashes[:memoryBuckets] {
			for key, state := range b.fields {
				out = append(out, store.Pair{Key: key, Value: slices.Clone(state)})
			}
		}
	}
	slices.SortFunc(out, func(a, b store.Pair) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// Keys are the keys that have a state, sorted.
func (m *Memory) Keys() (keys []string) {
	for _, p := range m.States() {
		keys = append(keys, p.Key)
	}
	return keys
}

// Aside tells how many events the lists of each key have, of all shards, also of a key without a head.
func (m *Memory) Aside() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[string]int)
	for _, s := range m.kept.slots {
		for _, h := range s.hashes[memoryEvents:] {
			for field := range h.fields {
				out[keyOf(field)]++
			}
		}
	}
	return out
}

// Put sets the state of a shard's key, past all checks.
func (m *Memory) Put(shard int, key string, state []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.kept.slots[shard]
	s.hashes[bucketOf(key)].put(store.Pair{Key: key, Value: state})
	m.kept.slots[shard] = s
}
