package redis_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/store/storetest"
	"example.com/lockstep/pkg/testkit"
	"github.com/alicebob/miniredis/v2"
	"github.com/cespare/xxhash/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kept is a Redis as the suite sees it; open opens the store of a topology in it.
func kept(t *testing.T, rdb redis.UniversalClient, open func(topology string) store.Store) storetest.Kept {
	ctx := context.Background()
	return storetest.Kept{
		At: open,
		Wipe: func() {
			if cluster, is := rdb.(*redis.ClusterClient); is {
				require.NoError(t, cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return c.FlushAll(ctx).Err() }))
				return
			}
			require.NoError(t, rdb.FlushAll(ctx).Err())
		},
		Lose:      func(shard int) { require.NoError(t, rdb.Del(ctx, record(shard)).Err()) },
		LoseState: func(shard int, key string) { require.Equal(t, int64(1), rdb.Del(ctx, bucketOf(shard, key)).Val()) },
		LoseAll:   func(shard int) { require.NoError(t, rdb.Del(ctx, slot(shard)...).Err()) },
		Need: func(shard int, format uint64) {
			require.NoError(t, rdb.HSet(ctx, record(shard), "needs", format).Err())
		},
		Needs: func(shard int) uint64 {
			needs, err := rdb.HGet(ctx, record(shard), "needs").Uint64()
			require.NoError(t, err)
			return needs
		},
		LoseHeads: func(shard int) { require.Equal(t, int64(1), rdb.Del(ctx, heads(shard)).Val()) },
		LoseEvent: func(shard int, key string, index uint64) {
			require.Equal(t, int64(1), rdb.Del(ctx, eventsOf(shard, key, index)).Val())
		},
	}
}

func conformance(t *testing.T, addr func(*testing.T) string) {
	storetest.Run(t, func(t *testing.T) storetest.Kept {
		rdb := client(t, addr(t))
		return kept(t, rdb, func(topology string) store.Store { return redisstore.New(rdb, "app", topology) })
	})
}

func record(shard int) string { return fmt.Sprintf("{app:%d}:record", shard) }

func bucketOf(shard int, key string) string {
	return fmt.Sprintf("{app:%d}:state:%d", shard, bucket(key))
}

func bucket(key string) uint64 { return xxhash.Sum64String(key) % 16 }

func heads(shard int) string { return fmt.Sprintf("{app:%d}:aside:0", shard) }

// eventsOf is the hash that holds an event of a key's list.
func eventsOf(shard int, key string, index uint64) string {
	return fmt.Sprintf("{app:%d}:aside:%d", shard, 1+(index/64+bucket(key))%15)
}

// slot names all keys of a shard.
func slot(shard int) []string {
	keys := []string{record(shard)}
	for i := range 16 {
		keys = append(keys, fmt.Sprintf("{app:%d}:state:%d", shard, i), fmt.Sprintf("{app:%d}:aside:%d", shard, i))
	}
	return keys
}

func client(t *testing.T, addr string) *redis.Client {
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

func TestRedisServer(t *testing.T) {
	conformance(t, func(t *testing.T) string { return testkit.RedisProcess(t).Addr })
}

func TestMiniredis(t *testing.T) {
	conformance(t, func(t *testing.T) string { return miniredis.RunT(t).Addr() })
}

func TestRedisThatEvictsIsRefused(t *testing.T) {
	rdb := client(t, testkit.RedisProcess(t, testkit.WithArgs("--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru")).Addr)
	err := redisstore.New(rdb, "app", "one").Check(context.Background(), 4)
	require.ErrorIs(t, err, store.ErrUnsuitable)
	require.ErrorContains(t, err, "maxmemory-policy allkeys-lru")
}

// A record that cannot be read for want of rights is no record that is not there.
func TestCheckLooksAtEachRecord(t *testing.T) {
	ctx := context.Background()
	addr := testkit.RedisProcess(t).Addr
	require.NoError(t, client(t, addr).Do(ctx, "ACL", "SETUSER", "worker", "on", "nopass", "+@all", "~app:*", "~{app:0}:*").Err())
	rdb := redis.NewClient(&redis.Options{Addr: addr, Username: "worker", Password: "any"})
	defer func() { require.NoError(t, rdb.Close()) }()
	s := redisstore.New(rdb, "app", "one")
	require.NoError(t, s.Check(ctx, 1))
	require.ErrorContains(t, s.Check(ctx, 2), "NOPERM")
}

// A store that an earlier version has filled is refused, with a line that says what to do, and nothing in it is touched.
func TestEarlierLayoutIsRefused(t *testing.T) {
	ctx := context.Background()
	for _, key := range []string{"app:topology", "app:claimed"} {
		rdb := client(t, testkit.RedisProcess(t).Addr)
		require.NoError(t, rdb.Set(ctx, "another:topology", "one", 0).Err())
		s := redisstore.New(rdb, "app", "one")
		require.NoError(t, s.Check(ctx, 4))
		require.NoError(t, rdb.Set(ctx, key, "one", 0).Err())
		err := s.Check(ctx, 4)
		require.ErrorIs(t, err, store.ErrFormat)
		require.ErrorContains(t, err, "go tool task clean")
		require.Equal(t, int64(2), rdb.DBSize(ctx).Val())
	}
}

// A cursor does not survive a restart, though the version does: the record is read again, and is complete.
func TestRecordIsReadInFullThoughRedisRestarts(t *testing.T) {
	ctx := context.Background()
	server := testkit.RedisProcess(t, testkit.WithAOF())
	s := redisstore.New(client(t, server.Addr), "app", "one")
	_, err := s.Claim(ctx, 0, 1, "v1")
	require.NoError(t, err)
	c := &store.Commit{Shard: 0, Old: "v1", New: "v2"}
	for i := range 20_000 {
		c.Dedup = append(c.Dedup, store.Pair{Key: fmt.Sprint(i), Value: []byte{1}})
	}
	require.NoError(t, s.Commit(ctx, c))
	got := make(map[string]int)
	calls := 0
	err = s.Publishers(ctx, 0, "v2", func(id string, _ []byte) (bool, error) {
		if calls++; calls == 5000 {
			server.Stop()
			server.Start(t)
		}
		got[id]++
		return got[id] == 1, nil
	})
	require.NoError(t, err)
	require.Len(t, got, 20_000)
}

// However many publishers a shard has, no command holds Redis for long. (The bound is loose: it may share a slow machine.)
func TestRecordOfManyPublishersBlocksNoOtherCommand(t *testing.T) {
	ctx := context.Background()
	rdb := client(t, testkit.RedisProcess(t).Addr)
	s := redisstore.New(rdb, "app", "one")
	version := store.NewVersion()
	_, err := s.Claim(ctx, 0, 1, version)
	require.NoError(t, err)
	const publishers, each = 200_000, 5000
	for i := 0; i < publishers; i += each {
		c := &store.Commit{Shard: 0, Old: version, New: store.NewVersion()}
		for j := range each {
			c.Dedup = append(c.Dedup, store.Pair{Key: fmt.Sprintf("%032x", i+j), Value: make([]byte, 30)})
		}
		require.NoError(t, s.Commit(ctx, c))
		version = c.New
	}
	require.NoError(t, rdb.ConfigResetStat(ctx).Err())
	_, err = s.Claim(ctx, 0, 2, "next")
	require.NoError(t, err)
	all, err := storetest.Publishers(s, 0, "next")
	require.NoError(t, err)
	require.Len(t, all, publishers)
	stats, err := rdb.Info(ctx, "commandstats").Result()
	require.NoError(t, err)
	require.Regexp(t, `cmdstat_hscan:calls=\d{3}`, stats, "in pieces")
	require.NotContains(t, stats, "hgetall")
}

// A commit pays for each hash that it touches, so a few keys cost most.
var benchmarkSizes = []int{1, 2, 20, 100, 600, 1000}

func BenchmarkCommit(b *testing.B) {
	for _, keys := range benchmarkSizes {
		b.Run("keys="+strconv.Itoa(keys), func(b *testing.B) {
			s, c := committed(b, keys)
			b.ReportAllocs()
			for b.Loop() {
				c.Old, c.New = c.New, store.NewVersion()
				require.NoError(b, s.Commit(context.Background(), c))
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, keys := range benchmarkSizes {
		b.Run("keys="+strconv.Itoa(keys), func(b *testing.B) {
			s, c := committed(b, keys)
			names := make([]string, keys)
			for i, state := range c.States {
				names[i] = state.Key
			}
			b.ReportAllocs()
			for b.Loop() {
				_, err := s.Load(context.Background(), 0, c.New, names)
				require.NoError(b, err)
			}
		})
	}
}

// committed is a store of so many keys, with the commit that wrote them.
func committed(b *testing.B, keys int) (store.Store, *store.Commit) {
	rdb := redis.NewClient(&redis.Options{Addr: testkit.RedisProcess(b, testkit.WithAOF()).Addr})
	b.Cleanup(func() { _ = rdb.Close() })
	s := redisstore.New(rdb, "app", "one")
	c := &store.Commit{Old: store.NewVersion(), New: store.NewVersion(), Dedup: []store.Pair{{Key: "p", Value: make([]byte, 1024)}}}
	for i := range keys {
		c.States = append(c.States, store.Pair{Key: "load-abcdef-" + strconv.Itoa(i), Value: make([]byte, 90)})
	}
	_, err := s.Claim(context.Background(), 0, 1, c.Old)
	require.NoError(b, err)
	require.NoError(b, s.Commit(context.Background(), c))
	return s, c
}
