package redis

import (
	"context"
	"fmt"

	"example.com/lockstep/pkg/store"
)

// Load implements store.Store.
func (s *Store) Load(ctx context.Context, shard int, version store.Version, keys []string) ([][]byte, error) {
	at, err := sorted(keys)
	if err != nil {
		return nil, fmt.Errorf("load %d keys of shard %d: %w", len(keys), shard, err)
	}
	res, err := s.calls.run(ctx, s.scripts.load, s.touched(shard, &at), at.loadArgs(version, keys)).Result()
	switch {
	case err != nil:
		return nil, fmt.Errorf("load %d keys of shard %d: %w", len(keys), shard, err)
	case res == "stale" || res == "torn":
		return nil, store.ErrStale
	}
	return at.values(res)
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, c *store.Commit) error {
	at, err := sorted(c.States)
	var lists *listFields
	if err == nil {
		lists, err = fieldsOf(c.Lists)
	}
	if err != nil {
		return fmt.Errorf("commit shard %d: %w", c.Shard, err)
	}
	keys := lists.touched(s.touched(c.Shard, &at), s.slotPrefix(c.Shard))
	res, err := s.calls.run(ctx, s.scripts.commit, keys, commitArgs(c, &at, lists)).Text()
	switch {
	case err != nil:
		return fmt.Errorf("commit shard %d: %w", c.Shard, err)
	case res == "stale":
		return store.ErrStale
	}
	return nil
}

// commitArgs are the arguments with which commit.lua makes a commit.
func commitArgs(c *store.Commit, b *bucketed, lists *listFields) []any {
	const fixed, further = 8, 4 // arguments
	args := make([]any, fixed, fixed+further+5*b.used+2*len(c.Dedup)+2*len(c.States)+lists.size())
	first := 0
	for n, count := range b.count {
		if count > 0 {
			removed := 0
			for _, i := range b.order[first : first+count] {
				if c.States[i].Value == nil {
					removed++
				}
			}
			args = append(args, stateMarkers[n], count-removed+1, removed)
			first += count
		}
	}
	args = lists.counts(args)
	before := len(args)
	if c.Caps != "" {
		args = append(args, fieldCaps, c.Caps)
	}
	if lists != nil {
		args = append(args, fieldNeeds, store.FormatLists)
	}
	fields := (len(args) - before) / 2
	args, sets := appendPairs(args, dedupPrefix, len(c.Dedup), func(i int) *store.Pair { return &c.Dedup[i] })
	args[0], args[1], args[2], args[3], args[4], args[5], args[6], args[7] =
		string(c.Old), string(c.New), c.Position.String(), c.Owed, c.Late, c.LateLast, fields+sets, len(c.Dedup)-sets
	first = 0
	for _, count := range b.count {
		if count > 0 {
			args = append(args, marker, string(c.New))
			order := b.order[first : first+count]
			args, _ = appendPairs(args, "", count, func(i int) *store.Pair { return &c.States[order[i]] })
			first += count
		}
	}
	return lists.fields(args, c.New)
}

// appendPairs appends n pairs, prefix before the key: those with a value, of which it returns the number, then the keys of those
// without.
func appendPairs(args []any, prefix string, n int, pair func(i int) *store.Pair) (_ []any, sets int) {
	for i := range n {
		if p := pair(i); p.Value != nil {
			args = append(args, prefix+p.Key, p.Value)
			sets++
		}
	}
	for i := range n {
		if p := pair(i); p.Value == nil {
			args = append(args, prefix+p.Key)
		}
	}
	return args, sets
}
