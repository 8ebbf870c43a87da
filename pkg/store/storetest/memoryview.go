package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"example.com/lockstep/pkg/store"
)

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
		return store.Record{}, s.tornError(shard)
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

func (v view) Empty(_ context.Context, shard int, found store.Markers) error {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	s := v.m.kept.slots[shard]
	if err := v.usable(shard, &s); err != nil {
		return err
	}
	if !s.torn() || s.markers() != found {
		return store.ErrStale
	}
	delete(v.m.kept.slots, shard)
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
	s.commit(c, &writes)
	v.m.kept.slots[c.Shard] = s
	return nil
}

func (v view) States(_ context.Context, shard int, keys []string) (states, heads [][]byte, err error) {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	kept := v.m.kept.slots[shard]
	if states, err = kept.states(keys); err != nil {
		return nil, nil, fmt.Errorf("shard %d: %w", shard, err)
	}
	if len(keys) == 0 {
		return nil, nil, nil
	}
	s, err := v.asideOf(shard, "", memoryHeads)
	if err != nil {
		return nil, nil, err
	}
	heads = make([][]byte, len(keys))
	for i, key := range keys {
		heads[i] = slices.Clone(s.hashes[memoryHeads].fields[key])
	}
	return states, heads, nil
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
		return store.Shard{}, s.tornError(shard)
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
