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

// States implements store.Store. One script reads both: a commit that comes between two would show a list without its state.
func (s *Store) States(ctx context.Context, shard int, keys []string) (states, heads [][]byte, err error) {
	if len(keys) == 0 {
		return nil, nil, nil
	}
	states, heads, err = s.states(ctx, shard, keys)
	if err != nil {
		return nil, nil, fmt.Errorf("read the states of %d keys of shard %d: %w", len(keys), shard, err)
	}
	return states, heads, nil
}

func (s *Store) states(ctx context.Context, shard int, keys []string) (states, heads [][]byte, err error) {
	at, err := sorted(keys)
	if err != nil {
		return nil, nil, err
	}
	touched := append(s.touched(shard, &at), s.headsKeys(shard)[1])
	args := append(at.loadArgs("", keys), asideMarkers[headsBucket], len(keys)+1, marker)
	for _, key := range keys {
		args = append(args, key)
	}
	values, err := pageOf(s.calls.alone(ctx, s.scripts.load, touched, args), "")
	if err != nil {
		return nil, nil, err
	}
	if len(values) != 2*len(keys) {
		return nil, nil, fmt.Errorf("the server returned %d values for %d", len(values), 2*len(keys))
	}
	states, err = at.values(values[:len(keys)])
	return states, bytesOf(values[len(keys):]), err
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
