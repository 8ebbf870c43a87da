package redis

import (
	"context"
	"fmt"

	"example.com/lockstep/pkg/store"
	"github.com/redis/go-redis/v9"
)

// States implements store.Store.
func (s *Store) States(ctx context.Context, keys []string) ([][]byte, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = s.stateKey(k)
	}
	res, err := s.rdb.MGet(ctx, names...).Result()
	if err != nil {
		return nil, fmt.Errorf("read the states of %d keys: %w", len(keys), err)
	}
	return values(res), nil
}

// Shards implements store.Store.
func (s *Store) Shards(ctx context.Context, n int) ([]store.Shard, error) {
	pipe := s.rdb.Pipeline()
	cmds := make([]*redis.SliceCmd, n)
	for i := range cmds {
		cmds[i] = pipe.HMGet(ctx, s.shardKey(i), fieldFence, fieldPosition)
	}
	if _, err := pipe.Exec(ctx); err != nil && !ofOneKey(err) {
		return nil, fmt.Errorf("read the positions of %d shards: %w", n, err)
	}
	out := make([]store.Shard, n)
	for i, cmd := range cmds {
		if out[i] = readShard(cmd); out[i].Err != nil {
			out[i].Err = fmt.Errorf("read %s: %w", s.shardKey(i), out[i].Err)
		}
	}
	return out, nil
}

// ofOneKey tells whether Redis refused a command for the type of its key. Other keys may be sound.
func ofOneKey(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

func readShard(cmd *redis.SliceCmd) store.Shard {
	values, err := cmd.Result()
	if err != nil {
		return store.Shard{Err: err}
	}
	var rec store.Record
	for i, field := range []string{fieldFence, fieldPosition} {
		if s, ok := values[i].(string); ok {
			if err := setField(&rec, field, s); err != nil {
				return store.Shard{Err: fmt.Errorf("field %s: %w", field, err)}
			}
		}
	}
	return store.Shard{Fence: rec.Fence, Position: rec.Position}
}
