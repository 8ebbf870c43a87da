package consume

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"testing"

	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/store/storetest"
)

// memory is a Store in memory, for the tests of decisions. It passes the suite that every store must pass.
type memory struct {
	*memoryData
	topology string
}

type memoryData struct {
	mu     sync.Mutex // guards what follows
	stamp  string
	shards map[int]*store.Record
	states map[string][]byte
	loads  map[string]int // of each key
}

func newMemory() *memoryData {
	m := new(memoryData)
	m.wipe()
	return m
}

func (m *memoryData) at(topology string) store.Store { return memory{m, topology} }

// wipe is what FLUSHALL does.
func (m *memoryData) wipe() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stamp, m.shards, m.states, m.loads = "", make(map[int]*store.Record), make(map[string][]byte), make(map[string]int)
}

func (m *memoryData) shard(n int) *store.Record {
	if m.shards[n] == nil {
		m.shards[n] = &store.Record{Dedup: make(map[string][]byte)}
	}
	return m.shards[n]
}

func (m memory) stamped() error {
	if m.stamp == "" {
		m.memoryData.stamp = m.topology
	}
	if m.stamp != m.topology {
		return &otherTopology{m.stamp, m.topology}
	}
	return nil
}

type otherTopology struct{ is, wanted string }

func (o *otherTopology) Error() string {
	return "\"" + o.is + "\" is not \"" + o.wanted + "\""
}
func (o *otherTopology) Is(target error) bool { return target == store.ErrTopology }

func (m memory) Check(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stamped()
}

func (m memory) Claim(_ context.Context, n int, revision uint64, v store.Version) (store.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.stamped(); err != nil {
		return store.Record{}, err
	}
	r := m.shard(n)
	r.Fence, r.Version = max(r.Fence+1, revision), v
	out := *r
	out.Dedup = maps.Clone(r.Dedup)
	return out, nil
}

func (m memory) Load(_ context.Context, n int, v store.Version, keys []string) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shard(n).Version != v {
		return nil, store.ErrStale
	}
	out := make([][]byte, len(keys))
	for i, k := range keys {
		m.loads[k]++
		out[i] = bytes.Clone(m.states[k])
	}
	return out, nil
}

func (m memory) Commit(_ context.Context, c *store.Commit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.shard(c.Shard)
	if r.Version == c.New {
		return nil
	}
	if r.Version != c.Old {
		return store.ErrStale
	}
	r.Version, r.Position, r.Since, r.Late, r.LateLast = c.New, c.Position, c.Since, c.Late, c.LateLast
	for _, d := range c.Dedup {
		if d.Value == nil {
			delete(r.Dedup, d.Key)
		} else {
			r.Dedup[d.Key] = slices.Clone(d.Value)
		}
	}
	for _, s := range c.States {
		m.states[s.Key] = slices.Clone(s.Value)
	}
	return nil
}

func (m memory) States(_ context.Context, keys []string) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([][]byte, len(keys))
	for i, k := range keys {
		out[i] = bytes.Clone(m.states[k])
	}
	return out, nil
}

func (m memory) Shards(_ context.Context, n int) ([]store.Shard, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]store.Shard, n)
	for i := range out {
		if r := m.shards[i]; r != nil {
			out[i] = store.Shard{Fence: r.Fence, Position: r.Position}
		}
	}
	return out, nil
}

func TestMemoryIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) (func(string) store.Store, func()) {
		m := newMemory()
		return m.at, m.wipe
	})
}
