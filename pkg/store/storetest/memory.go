package storetest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"example.com/lockstep/pkg/store"
)

// Memory is a store in memory, for tests that run more histories a second than a server allows. It
// can go back in time, like a server that loses its latest writes.
type Memory struct {
	mu   sync.Mutex // guards what follows
	kept Snapshot
}

// Snapshot is all that a Memory holds. Values in it are never changed, only replaced.
type Snapshot struct {
	stamp   string
	claimed map[int]bool // ever
	shards  map[int]record
	states  map[string][]byte
	tokens  map[string]string
}

// record is a shard's, with its publishers.
type record struct {
	store.Record
	dedup map[string][]byte
}

func (s Snapshot) clone() Snapshot {
	return Snapshot{stamp: s.stamp, claimed: maps.Clone(s.claimed), shards: maps.Clone(s.shards), states: maps.Clone(s.states), tokens: maps.Clone(s.tokens)}
}

// NewMemory makes an empty one.
func NewMemory() *Memory {
	m := new(Memory)
	m.Wipe()
	return m
}

// Wipe empties m, as FLUSHALL does.
func (m *Memory) Wipe() {
	m.Restore(Snapshot{claimed: make(map[int]bool), shards: make(map[int]record), states: make(map[string][]byte), tokens: make(map[string]string)})
}

// Lose removes a shard's record, past all checks.
func (m *Memory) Lose(shard int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.kept.shards, shard)
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

// Keys are the keys that have a state, sorted.
func (m *Memory) Keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.kept.states))
}

// Put sets the state of a key, past all checks.
func (m *Memory) Put(key string, state []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept.states[key] = bytes.Clone(state)
}

// At is the store as seen by a worker of a topology.
func (m *Memory) At(topology string) store.Store { return view{m, topology} }

// view is a Memory seen by a worker of a topology.
type view struct {
	m        *Memory
	topology string
}

func (v view) stamped() error {
	if v.m.kept.stamp == "" {
		v.m.kept.stamp = v.topology
	}
	if v.m.kept.stamp != v.topology {
		return fmt.Errorf("%w: it is %q, the log's is %q", store.ErrTopology, v.m.kept.stamp, v.topology)
	}
	return nil
}

func (v view) Check(context.Context) error {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	return v.stamped()
}

func (view) Reconnected() <-chan struct{} { return nil }

func (v view) Claim(_ context.Context, shard int, revision uint64, version store.Version) (store.Record, error) {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	if err := v.stamped(); err != nil {
		return store.Record{}, err
	}
	r, there := v.m.kept.shards[shard]
	if v.m.kept.claimed[shard] && !there {
		return store.Record{}, fmt.Errorf("%w: shard %d", store.ErrGone, shard)
	}
	v.m.kept.claimed[shard] = true
	r.Fence, r.Version = max(r.Fence+1, revision), version
	v.m.kept.shards[shard] = r
	return r.Record, nil
}

// pagePublishers is how many publishers of a Memory are read at once.
const pagePublishers = 2

func (v view) Publishers(_ context.Context, shard int, version store.Version, take func(string, []byte) (bool, error)) error {
	var ids []string
	for first := 0; ; first += pagePublishers {
		v.m.mu.Lock()
		r := v.m.kept.shards[shard]
		v.m.mu.Unlock()
		if r.Version != version {
			return store.ErrStale
		}
		if first == 0 {
			ids = slices.Sorted(maps.Keys(r.dedup))
		}
		for i := first; i < min(first+pagePublishers, len(ids)); i++ {
			if _, err := take(ids[i], bytes.Clone(r.dedup[ids[i]])); err != nil {
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
	if v.m.kept.shards[shard].Version != version {
		return nil, store.ErrStale
	}
	return v.states(keys), nil
}

func (v view) states(keys []string) [][]byte {
	out := make([][]byte, len(keys))
	for i, k := range keys {
		out[i] = bytes.Clone(v.m.kept.states[k])
	}
	return out
}

func (v view) Commit(_ context.Context, c *store.Commit) error {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	r := v.m.kept.shards[c.Shard]
	if r.Version == c.New {
		return nil
	}
	if r.Version != c.Old {
		return store.ErrStale
	}
	r.Version, r.Position, r.RoundStart, r.Late, r.LateLast = c.New, c.Position, c.RoundStart, c.Late, c.LateLast
	r.dedup = maps.Clone(r.dedup) // that of a snapshot stays
	if r.dedup == nil {
		r.dedup = make(map[string][]byte)
	}
	for _, d := range c.Dedup {
		if d.Value == nil {
			delete(r.dedup, d.Key)
		} else {
			r.dedup[d.Key] = bytes.Clone(d.Value)
		}
	}
	v.m.kept.shards[c.Shard] = r
	for _, s := range c.States {
		v.m.kept.states[s.Key] = bytes.Clone(s.Value)
	}
	return nil
}

func (v view) States(_ context.Context, keys []string) ([][]byte, error) {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	return v.states(keys), nil
}

func (v view) Shards(_ context.Context, n int) ([]store.Shard, error) {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	out := make([]store.Shard, n)
	for i := range out {
		r := v.m.kept.shards[i]
		out[i] = store.Shard{Fence: r.Fence, Position: r.Position}
	}
	return out, nil
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
