package redis

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"example.com/lockstep/pkg/store"
	"github.com/redis/go-redis/v9"
)

// States implements store.Store.
func (s *Store) States(ctx context.Context, shard int, keys []string) ([][]byte, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	at, err := sorted(keys)
	var res any
	if err == nil {
		res, err = s.calls.alone(ctx, s.scripts.load, s.touched(shard, &at), at.loadArgs("", keys)).Result()
	}
	if err == nil && res == "torn" {
		err = errTornBeside
	}
	if err != nil {
		return nil, fmt.Errorf("read the states of %d keys of shard %d: %w", len(keys), shard, err)
	}
	return at.values(res)
}

// shardFields are the fields that any process may read.
var shardFields = []string{fieldFence, fieldPosition}

// lookTime is how long a reader of many shards waits for a node that does not answer.
const lookTime = 2 * time.Second

// Shards implements store.Store.
func (s *Store) Shards(ctx context.Context, n int) ([]store.Shard, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	cmds, err := s.readShards(ctx, n)
	if err == nil && n > 0 && !slices.ContainsFunc(cmds, isAnswered) {
		err = cmds[0].Err()
	}
	if err != nil {
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

// readShards reads shardFields of the shards 0 to n-1, with one pipeline for each node.
func (s *Store) readShards(ctx context.Context, n int) ([]*redis.SliceCmd, error) {
	onNode := make(map[redis.UniversalClient][]int)
	for i := range n {
		node, err := s.calls.nodeOf(ctx, s.recordKey(i))
		if err != nil {
			return nil, err
		}
		onNode[node] = append(onNode[node], i)
	}
	cmds := make([]*redis.SliceCmd, n)
	var reads sync.WaitGroup
	for node, shards := range onNode {
		reads.Go(func() {
			pipe := node.Pipeline()
			for _, i := range shards {
				cmds[i] = pipe.HMGet(ctx, s.recordKey(i), shardFields...)
			}
			_, _ = pipe.Exec(ctx) // each command has its own error
		})
	}
	reads.Wait()
	for i, cmd := range cmds {
		if isUnserved(cmd.Err()) {
			cmds[i] = s.rdb.HMGet(ctx, s.recordKey(i), shardFields...)
		}
	}
	return cmds, nil
}

// isAnswered tells whether a shard's node answered: of a cluster's nodes others may be down.
func isAnswered(cmd *redis.SliceCmd) bool { return cmd.Err() == nil || ofOneKey(cmd.Err()) }

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
