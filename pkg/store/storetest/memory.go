package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
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

// slot is all of a shard. The zero value is an empty one.
type slot struct {
	topology string // "" if there is no record
	needs    uint64
	record   store.Record
	dedup    map[string][]byte
	named    [memoryHashes]store.Version // the markers, as the record names them
	hashes   [memoryHashes]hash
}

// hash holds some of a shard's states, the heads of its lists, or some events of its lists.
type hash struct {
	marker store.Version // of the last commit that wrote to it; "": there is no such hash
	fields map[string][]byte
}

// The hashes of a slot of a Memory: those of states, one of heads, those of events. They are so few, and so few events of a list that
// follow one another lie in the same hash, that most hashes are touched by small tests.
const (
	memoryBuckets = 2
	memoryHeads   = memoryBuckets
	memoryEvents  = memoryHeads + 1
	memoryHashes  = memoryEvents + 2
	memoryRun     = 2
)

func bucketOf(key string) int { return int(key[len(key)-1]) % memoryBuckets }

// eventsOf is the hash that holds a key's event with that index.
func eventsOf(key string, index uint64) int {
	return memoryEvents + int((index/memoryRun+uint64(bucketOf(key)))%(memoryHashes-memoryEvents))
}

func eventField(key string, index uint64) string {
	return string(binary.BigEndian.AppendUint64(nil, index)) + key
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
func (m *Memory) LoseState(shard int, key string) { m.restoreHash(shard, bucketOf(key), Snapshot{}) }

// LoseHeads removes the hash with the heads of a shard's lists, past all checks: the slot is torn, if it was claimed.
func (m *Memory) LoseHeads(shard int) { m.restoreHash(shard, memoryHeads, Snapshot{}) }

// LoseEvent removes the hash that holds an event of a key's list, past all checks: the slot is torn, if it was claimed.
func (m *Memory) LoseEvent(shard int, key string, index uint64) {
	m.restoreHash(shard, eventsOf(key, index), Snapshot{})
}

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

// RestoreState sets the bucket that holds a key's state back to a snapshot, apart from the rest of the slot, past all checks: the
// slot is torn, if the bucket was written to.
func (m *Memory) RestoreState(shard int, key string, s Snapshot) {
	m.restoreHash(shard, bucketOf(key), s)
}

// RestoreHeads is RestoreState for the hash with the heads of a shard's lists.
func (m *Memory) RestoreHeads(shard int, s Snapshot) { m.restoreHash(shard, memoryHeads, s) }

// RestoreEvent is RestoreState for the hash that holds an event of a key's list.
func (m *Memory) RestoreEvent(shard int, key string, index uint64, s Snapshot) {
	m.restoreHash(shard, eventsOf(key, index), s)
}

func (m *Memory) restoreHash(shard, n int, s Snapshot) {
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

// Put sets the state of a shard's key, past all checks.
func (m *Memory) Put(shard int, key string, state []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.kept.slots[shard]
	s.hashes[bucketOf(key)].put(store.Pair{Key: key, Value: state})
	m.kept.slots[shard] = s
}

// put sets fields or, with nil, removes them, and leaves the map of a snapshot as it is.
func (h *hash) put(fields ...store.Pair) {
	if h.fields = maps.Clone(h.fields); h.fields == nil {
		h.fields = make(map[string][]byte)
	}
	for _, f := range fields {
		if f.Value == nil {
			delete(h.fields, f.Key)
		} else {
			h.fields[f.Key] = slices.Clone(f.Value)
		}
	}
}

// torn tells whether any part of the slot is missing or older than the rest.
func (s *slot) torn() bool {
	for i, h := range s.hashes {
		if h.marker != s.named[i] || h.marker == "" && h.fields != nil {
			return true
		}
	}
	return false
}

// At is the store as seen by a worker of a topology.
func (m *Memory) At(topology string) store.Store { return view{m, topology} }

// view is a Memory seen by a worker of a topology.
type view struct {
	m        *Memory
	topology string
}

// usable returns an error if a slot is not to be used by the view.
func (v view) usable(shard int, s *slot) error {
	switch {
	case s.topology != "" && s.topology != v.topology:
		return fmt.Errorf("%w: shard %d is of %q, the log is of %q", store.ErrTopology, shard, s.topology, v.topology)
	case s.needs > store.Format:
		return fmt.Errorf("%w: shard %d needs format %d", store.ErrFormat, shard, s.needs)
	}
	return nil
}

func (v view) Check(_ context.Context, n int) error {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	for shard := range n {
		s := v.m.kept.slots[shard]
		if err := v.usable(shard, &slot{topology: s.topology}); err != nil {
			return err
		}
	}
	return nil
}

func (view) Reconnected() <-chan struct{} { return nil }

func (v view) Claim(_ context.Context, shard int, revision uint64, version store.Version) (store.Record, error) {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	s := v.m.kept.slots[shard]
	if err := v.usable(shard, &s); err != nil {
		return store.Record{}, err
	}
	if s.torn() {
		return store.Record{}, fmt.Errorf("%w: shard %d", store.ErrTorn, shard)
	}
	if s.topology == "" {
		s.topology, s.needs = v.topology, store.FormatStates
		for i := range s.hashes {
			s.named[i], s.hashes[i].marker = version, version
		}
	}
	s.record.Fence, s.record.Version = max(s.record.Fence+1, revision), version
	v.m.kept.slots[shard] = s
	return s.record, nil
}

func (v view) Empty(_ context.Context, shard int) error {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	s := v.m.kept.slots[shard]
	if err := v.usable(shard, &s); err != nil {
		return err
	}
	if s.torn() {
		delete(v.m.kept.slots, shard)
	}
	return nil
}

// pagePublishers is how many publishers of a Memory are read at once.
const pagePublishers = 2

func (v view) Publishers(_ context.Context, shard int, version store.Version, take func(string, []byte) (bool, error)) error {
	var ids []string
	for first := 0; ; first += pagePublishers {
		v.m.mu.Lock()
		s := v.m.kept.slots[shard]
		v.m.mu.Unlock()
		if s.record.Version != version {
			return store.ErrStale
		}
		if first == 0 {
			ids = slices.Sorted(maps.Keys(s.dedup))
		}
		for i := first; i < min(first+pagePublishers, len(ids)); i++ {
			if _, err := take(ids[i], slices.Clone(s.dedup[ids[i]])); err != nil {
				return err
			}
		}
		if first >= len(ids) {
			return nil
		}
	}
}

func (v view) Load(_ context.Context, shard int, version store.Version, keys []string) ([][]byte, error) {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	s := v.m.kept.slots[shard]
	if s.record.Version != version {
		return nil, store.ErrStale
	}
	out, err := s.states(keys)
	if errors.Is(err, store.ErrTorn) {
		err = store.ErrStale
	}
	return out, err
}

// states returns the states of keys, or store.ErrTorn if one of their buckets is.
func (s *slot) states(keys []string) (out [][]byte, err error) {
	out = make([][]byte, len(keys))
	for i, k := range keys {
		if k == "" {
			return nil, store.ErrNoKey
		}
		n := bucketOf(k)
		if s.hashes[n].marker != s.named[n] {
			return nil, store.ErrTorn
		}
		out[i] = slices.Clone(s.hashes[n].fields[k])
	}
	return out, nil
}

func (v view) Verify(_ context.Context, shard int, version store.Version) error {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	s := v.m.kept.slots[shard]
	if s.record.Version != version || s.torn() {
		return store.ErrStale
	}
	return nil
}

func (v view) Commit(_ context.Context, c *store.Commit) error {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	s := v.m.kept.slots[c.Shard]
	if s.record.Version == c.New {
		return nil
	}
	if s.record.Version != c.Old {
		return store.ErrStale
	}
	writes, err := writesOf(c)
	if err != nil {
		return err
	}
	for n := range s.hashes {
		if len(writes[n]) > 0 && s.hashes[n].marker != s.named[n] {
			return store.ErrStale
		}
	}
	r := &s.record
	r.Version, r.Position, r.RoundStart, r.Late, r.LateLast = c.New, c.Position, c.RoundStart, c.Late, c.LateLast
	if r.Owed = slices.Clone(c.Owed); len(r.Owed) == 0 {
		r.Owed = nil
	}
	if c.Caps != "" {
		r.Caps = c.Caps
	}
	if len(c.Lists) > 0 {
		s.needs = store.FormatLists
	}
	s.dedup = maps.Clone(s.dedup) // that of a snapshot stays
	if s.dedup == nil {
		s.dedup = make(map[string][]byte)
	}
	for _, d := range c.Dedup {
		if d.Value == nil {
			delete(s.dedup, d.Key)
		} else {
			s.dedup[d.Key] = slices.Clone(d.Value)
		}
	}
	for n := range s.hashes {
		if len(writes[n]) == 0 {
			continue
		}
		s.named[n], s.hashes[n].marker = c.New, c.New
		s.hashes[n].put(writes[n]...)
	}
	v.m.kept.slots[c.Shard] = s
	return nil
}

// writesOf are the fields that a commit sets or, with nil, removes in each hash, or store.ErrNoKey.
func writesOf(c *store.Commit) (writes [memoryHashes][]store.Pair, err error) {
	put := func(n int, field string, value []byte) {
		writes[n] = append(writes[n], store.Pair{Key: field, Value: value})
	}
	for _, st := range c.States {
		if st.Key == "" {
			return writes, store.ErrNoKey
		}
		put(bucketOf(st.Key), st.Key, st.Value)
	}
	for _, l := range c.Lists {
		if l.Key == "" {
			return writes, store.ErrNoKey
		}
		put(memoryHeads, l.Key, l.Head)
		for index := l.Drop; index < l.Till; index++ {
			put(eventsOf(l.Key, index), eventField(l.Key, index), nil)
		}
		for i, event := range l.Events {
			index := l.At + uint64(i)
			put(eventsOf(l.Key, index), eventField(l.Key, index), event)
		}
	}
	return writes, nil
}

func (v view) States(_ context.Context, shard int, keys []string) ([][]byte, error) {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	s := v.m.kept.slots[shard]
	out, err := s.states(keys)
	if err != nil {
		return nil, fmt.Errorf("shard %d: %w", shard, err)
	}
	return out, nil
}

func (v view) Shards(_ context.Context, n int) ([]store.Shard, error) {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	out := make([]store.Shard, n)
	for i := range out {
		r := v.m.kept.slots[i].record
		out[i] = store.Shard{Fence: r.Fence, Position: r.Position}
	}
	return out, nil
}

func (v view) Intact(_ context.Context, shard int) (store.Shard, error) {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	s := v.m.kept.slots[shard]
	if err := v.usable(shard, &s); err != nil {
		return store.Shard{}, err
	}
	if s.torn() {
		return store.Shard{}, fmt.Errorf("%w: shard %d", store.ErrTorn, shard)
	}
	return store.Shard{Fence: s.record.Fence, Position: s.record.Position}, nil
}

func (v view) PutToken(_ context.Context, name, value string) error {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	v.m.kept.tokens[name] = value
	return nil
}

func (v view) Token(_ context.Context, name string) (string, error) {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	return v.m.kept.tokens[name], nil
}
