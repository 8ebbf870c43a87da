package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"example.com/lockstep/pkg/store"
)

// asideOf returns a slot whose lists may be read under a version, or by any process with the version "", if the hashes with these
// numbers are not torn.
func (v view) asideOf(shard int, version store.Version, hashes ...int) (*slot, error) {
	s := v.m.kept.slots[shard]
	if version != "" && s.record.Version != version {
		return nil, store.ErrStale
	}
	for _, n := range hashes {
		if s.hashes[n].marker == s.named[n] {
			continue
		}
		if version == "" {
			return nil, fmt.Errorf("shard %d: %w", shard, store.ErrTorn)
		}
		return nil, store.ErrStale
	}
	return &s, nil
}

// pageHeads is how many heads of a Memory are read at once.
const pageHeads = 2

func (v view) Heads(_ context.Context, shard int, version store.Version, take func(string, []byte) error) error {
	var keys []string
	for first := 0; ; first += pageHeads {
		page, err := v.headsPage(shard, version, &keys, first)
		if err != nil {
			return err
		}
		for _, head := range page {
			if err := take(head.Key, head.Value); err != nil {
				return err
			}
		}
		if first+pageHeads >= len(keys) {
			return nil
		}
	}
}

// headsPage returns some heads, from the first one on, of the keys that had one when the first page was read.
func (v view) headsPage(shard int, version store.Version, keys *[]string, first int) (page []store.Pair, err error) {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	s, err := v.asideOf(shard, version, memoryHeads)
	if err != nil {
		return nil, err
	}
	if first == 0 {
		*keys = slices.Sorted(maps.Keys(s.hashes[memoryHeads].fields))
	}
	for _, key := range (*keys)[first:min(first+pageHeads, len(*keys))] {
		if head, is := s.hashes[memoryHeads].fields[key]; is {
			page = append(page, store.Pair{Key: key, Value: slices.Clone(head)})
		}
	}
	return page, nil
}

func (v view) Aside(_ context.Context, shard int, version store.Version, key string, from uint64, n int) (events [][]byte, err error) {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	if key == "" {
		return nil, store.ErrNoKey
	}
	if _, err := v.asideOf(shard, version); err != nil {
		return nil, err
	}
	size := 0
	for index := from; index-from < uint64(max(n, 0)) && size < store.AsideBytes; index++ {
		at := eventsOf(key, index)
		s, err := v.asideOf(shard, version, at)
		if err != nil {
			return nil, err
		}
		event, is := s.hashes[at].fields[eventField(key, index)]
		if !is {
			break
		}
		events = append(events, slices.Clone(event))
		size += len(event)
	}
	return events, nil
}
