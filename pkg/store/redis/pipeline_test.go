package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/lockstep/pkg/redisconn"
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
				c := &store.Commit{Shard: shard, Old: versions[shard], New: store.NewVersion(), Late: uint64(n)}
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
			states, _, err := s.States(ctx, shard, []string{fmt.Sprint("key-", shard)})
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

// A call that waits for a Redis that does not answer ends with its context, also the one that has to wait for nobody else. The
// calls beside it are answered when Redis goes on.
func TestCallsEndWithTheirContext(t *testing.T) {
	const shards = 8
	ctx := context.Background()
	link := testkit.NewLink(t, testkit.Redis(t))
	s := redisstore.New(client(t, link.Addr), "app", "one")
	versions := make([]store.Version, shards)
	for shard := range shards {
		versions[shard] = store.NewVersion()
		_, err := s.Claim(ctx, shard, 1, versions[shard])
		require.NoError(t, err)
	}
	link.Stall()
	reason := errors.New("handed over")
	given, giveUp := context.WithCancelCause(ctx)
	left, stay := make([]error, shards), make([]error, shards)
	next := store.NewVersion()
	var leaving, staying sync.WaitGroup
	for shard := range shards {
		leaving.Go(func() {
			if shard%2 == 0 {
				left[shard] = s.Commit(given, &store.Commit{Shard: shard, Old: versions[shard], New: next})
			} else {
				_, left[shard] = s.Load(given, shard, versions[shard], []string{"k"})
			}
		})
		staying.Go(func() { _, stay[shard] = s.Load(ctx, shard, versions[shard], nil) })
	}
	giveUp(reason)
	leaving.Wait()
	link.Resume()
	staying.Wait()
	for shard := range shards {
		require.ErrorIs(t, left[shard], reason)
		if shard%2 == 1 {
			require.NoError(t, stay[shard])
			continue
		}
		c := &store.Commit{Shard: shard, Old: versions[shard], New: next} // it may have happened or not; repeated, it has
		require.NoError(t, s.Commit(ctx, c))
	}
}

// BenchmarkShards is the load and the commit of a round, by the owners of many shards at once.
func BenchmarkShards(b *testing.B) {
	one := testkit.RedisProcess(b).Addr
	for _, shards := range []int{1, 16, 64} {
		b.Run("shards="+strconv.Itoa(shards), func(b *testing.B) { ownAtOnce(b, one, shards) })
	}
	cluster := testkit.StartRedisCluster(b, 3, 0).URL()
	b.Run("cluster/shards=64", func(b *testing.B) { ownAtOnce(b, cluster, 64) })
}

func ownAtOnce(b *testing.B, server string, shards int) {
	ctx := b.Context()
	rdb, err := redisconn.Connect("redis", server, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	defer redisconn.Close(rdb)
	s := redisstore.New(rdb, "app", "one")
	var rounds atomic.Int64
	var owners sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for shard := range shards {
		owners.Go(func() {
			version := store.NewVersion()
			if _, err := s.Claim(ctx, shard, 1, version); err != nil {
				b.Error(err)
			}
			key := "key-" + strconv.Itoa(shard)
			for rounds.Add(1) <= int64(b.N) {
				if _, err := s.Load(ctx, shard, version, []string{key}); err != nil {
					b.Error(err)
				}
				c := &store.Commit{Shard: shard, Old: version, New: store.NewVersion(), States: []store.Pair{{Key: key, Value: make([]byte, 90)}}}
				if err := s.Commit(ctx, c); err != nil {
					b.Error(err)
				}
				version = c.New
			}
		})
	}
	owners.Wait()
}
