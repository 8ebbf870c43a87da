package redis

import (
	"context"
	"errors"
	"fmt"

	"example.com/lockstep/pkg/store"
	"github.com/redis/go-redis/v9"
)

// Load implements store.Store.
func (s *Store) Load(ctx context.Context, shard int, version store.Version, keys []string) ([][]byte, error) {
	args := make([]any, 0, len(keys)+1)
	args = append(args, string(version))
	names := s.names(len(keys))
	for _, k := range keys {
		args = append(args, names.state(k))
	}
	res, err := s.calls.run(loadScript, []string{s.shardKey(shard)}, args).Slice()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, store.ErrStale
	case err != nil:
		return nil, fmt.Errorf("load %d keys of shard %d: %w", len(keys), shard, err)
	case len(res) != len(keys):
		return nil, fmt.Errorf("load %d keys of shard %d: Redis returned %d", len(keys), shard, len(res))
	}
	return values(res), nil
}

func values(res []any) [][]byte {
	out := make([][]byte, len(res))
	for i, v := range res {
		if s, ok := v.(string); ok {
			out[i] = []byte(s)
		}
	}
	return out
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, c *store.Commit) error {
	const fixed = 8
	args := make([]any, fixed, fixed+2*len(c.Dedup)+2*len(c.States))
	sets := 0
	for _, d := range c.Dedup {
		if d.Value != nil {
			args = append(args, dedupPrefix+d.Key, d.Value)
			sets++
		}
	}
	removed := 0
	for _, d := range c.Dedup {
		if d.Value == nil {
			args = append(args, dedupPrefix+d.Key)
			removed++
		}
	}
	names := s.names(len(c.States))
	for _, p := range c.States {
		args = append(args, names.state(p.Key), p.Value)
	}
	args[0], args[1], args[2], args[3], args[4], args[5], args[6], args[7] =
		string(c.Old), string(c.New), c.Position.String(), c.RoundStart, c.Late, c.LateLast, sets, removed
	res, err := s.calls.run(commitScript, []string{s.shardKey(c.Shard)}, args).Text()
	switch {
	case err != nil:
		return fmt.Errorf("commit shard %d: %w", c.Shard, err)
	case res == "stale":
		return store.ErrStale
	}
	return nil
}

// names makes the names of many states with few allocations.
type names struct {
	prefix string
	b      []byte
}

func (s *Store) names(n int) *names {
	const usual = 32 // bytes of a key
	return &names{prefix: s.stateKey(""), b: make([]byte, 0, n*(len(s.app)+len(":state:")+usual))}
}

func (n *names) state(key string) []byte {
	from := len(n.b)
	n.b = append(append(n.b, n.prefix...), key...)
	return n.b[from:len(n.b):len(n.b)]
}
