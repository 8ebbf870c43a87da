package redis_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

// Commits of many shards share a pipeline, and none affects another: not a shard whose record is broken, nor one that another
// owner has claimed, nor a Redis that forgets its scripts in between.
func TestCommitsThatShareAPipeline(t *testing.T) {
	const shards, commits, broken, stolen = 32, 50, 7, 8
	ctx := context.Background()
	rdb := client(t, testkit.RedisProcess(t).Addr)
	s := redisstore.New(rdb, "app", "one")
	versions := make([]store.Version, shards)
	for shard := range shards {
		versions[shard] = store.NewVersion()
		_, err := s.Claim(ctx, shard, 1, versions[shard])
		require.NoError(t, err)
	}
	require.NoError(t, rdb.Set(ctx, record(broken), "not a hash", 0).Err())
	_, err := s.Claim(ctx, stolen, 2, store.NewVersion())
	require.NoError(t, err)

	errs := make([]error, shards)
	var all sync.WaitGroup
	for shard := range shards {
		all.Go(func() {
			for n := range commits {
				c := &store.Commit{Shard: shard, Old: versions[shard], New: store.NewVersion(), RoundStart: uint64(n)}
				c.States = []store.Pair{{Key: fmt.Sprint("key-", shard), Value: []byte(fmt.Sprint(n))}}
				if errs[shard] = s.Commit(ctx, c); errs[shard] != nil {
					return
				}
				versions[shard] = c.New
				if _, errs[shard] = s.Load(ctx, shard, c.New, []string{"other"}); errs[shard] != nil {
					return
				}
				if shard == 0 && n%10 == 0 {
					if errs[shard] = rdb.ScriptFlush(ctx).Err(); errs[shard] != nil {
						return
					}
				}
			}
		})
	}
	all.Wait()
	for shard, err := range errs {
		switch shard {
		case broken:
			require.ErrorContains(t, err, "WRONGTYPE")
		case stolen:
			require.ErrorIs(t, err, store.ErrStale)
		default:
			require.NoError(t, err, "shard %d", shard)
			states, err := s.States(ctx, shard, []string{fmt.Sprint("key-", shard)})
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(commits-1), string(states[0]))
		}
	}
}

// A Redis that does not answer ends a commit in time. It is not known whether it happened, and repeating it tells.
func TestCommitOnAStalledRedis(t *testing.T) {
	ctx := context.Background()
	link := testkit.NewLink(t, testkit.Redis(t))
	s := redisstore.New(client(t, link.Addr), "app", "one")
	versions := []store.Version{store.NewVersion(), store.NewVersion(), store.NewVersion()}
	for shard, v := range versions {
		_, err := s.Claim(ctx, shard, 1, v)
		require.NoError(t, err)
	}
	link.Stall()
	var all sync.WaitGroup
	next := make([]store.Version, len(versions))
	for shard, v := range versions {
		next[shard] = store.NewVersion()
		all.Go(func() {
			c := &store.Commit{Shard: shard, Old: v, New: next[shard]}
			if s.Commit(ctx, c) == nil {
				t.Errorf("shard %d: committed without a Redis", shard)
			}
		})
	}
	all.Wait()
	link.Resume()
	for shard, v := range versions { // it may have happened or not; repeated, it has
		require.NoError(t, s.Commit(ctx, &store.Commit{Shard: shard, Old: v, New: next[shard]}))
	}
}
