package redis

import (
	"context"
	"fmt"

	"example.com/lockstep/pkg/store"
	"github.com/redis/go-redis/v9"
)

// States implements store.Store.
func (s *Store) States(ctx context.Context, shard int, keys []string) ([][]byte, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	at := sorted(keys)
	res, err := loadScript.Run(ctx, s.rdb, s.touched(shard, &at), at.loadArgs("", keys)...).Result()
	if err == nil && res == "torn" {
		err = fmt.Errorf("%w: its owner will find out", store.ErrTorn)
	}
	if err != nil {
		return nil, fmt.Errorf("read the states of %d keys of shard %d: %w", len(keys), shard, err)
	}
	return at.values(res)
}

// shardFields are the fields that any process may read.
var shardFields = []string{fieldFence, fieldPosition}

// Shards implements store.Store.
func (s *Store) Shards(ctx context.Context, n int) ([]store.Shard, error) {
	pipe := s.rdb.Pipeline()
	cmds := make([]*redis.SliceCmd, n)
	for i := range cmds {
		cmds[i] = pipe.HMGet(ctx, s.recordKey(i), shardFields...)
	}
	if _, err := pipe.Exec(ctx); err != nil && !ofOneKey(err) {
		return nil, fmt.Errorf("read the positions of %d shards: %w", n, err)
	}
	out := make([]store.Shard, n)
	for i, cmd := range cmds {
		values, err := cmd.Result()
		if out[i] = readShard(values); err != nil {
			out[i].Err = err
		}
		if out[i].Err != nil {
			out[i].Err = fmt.Errorf("read %s: %w", s.recordKey(i), out[i].Err)
		}
	}
	return out, nil
}

// ofOneKey tells whether Redis refused a command for the type of its key. Other keys may be sound.
func ofOneKey(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

// readShard reads the values of shardFields.
func readShard(values []any) store.Shard {
	var rec store.Record
	for i, value := range values {
		if s, ok := value.(string); ok {
			if err := setField(&rec, shardFields[i], s); err != nil {
				return store.Shard{Err: fmt.Errorf("field %s: %w", shardFields[i], err)}
			}
		}
	}
	return store.Shard{Fence: rec.Fence, Position: rec.Position}
}
