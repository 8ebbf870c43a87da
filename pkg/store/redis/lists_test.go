package redis_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/store/storetest"
	"example.com/lockstep/pkg/testkit"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// A version that does not know lists goes on with slots that never had one, and refuses all others.
func TestSlotWithListsIsRefusedByAnEarlierVersion(t *testing.T) {
	ctx := context.Background()
	rdb := client(t, testkit.RedisProcess(t).Addr)
	s := redisstore.New(rdb, "app", "one")
	earlier := redisstore.NewWith(rdb, "app", "one", func(source string) string {
		return strings.ReplaceAll(source, "tonumber(format)", strconv.Itoa(store.FormatStates))
	})
	for shard, list := range []store.List{{}, {Key: "k", Head: []byte("h")}} {
		_, err := s.Claim(ctx, shard, 1, "v1")
		require.NoError(t, err)
		c := &store.Commit{Shard: shard, Old: "v1", New: "v2", States: []store.Pair{{Key: "k", Value: []byte("x")}}, Owed: []byte("r")}
		if list.Key != "" {
			c.Lists = []store.List{list}
		}
		require.NoError(t, s.Commit(ctx, c))
	}
	_, err := earlier.Claim(ctx, 0, 2, "v3")
	require.NoError(t, err)
	for _, call := range []func() error{
		func() error { _, err := earlier.Claim(ctx, 1, 2, "v3"); return err },
		func() error { _, err := earlier.Intact(ctx, 1); return err },
		func() error { return earlier.Empty(ctx, 1, "") },
	} {
		err := call()
		require.ErrorIs(t, err, store.ErrFormat)
		require.ErrorContains(t, err, "{app:1}:record needs format 2")
	}
	require.NoError(t, s.Verify(ctx, 1, "v2"), "nothing was written")
}

// A cursor does not survive a restart, though the version does: the heads are read again, and are complete.
func TestHeadsAreReadInFullThoughRedisRestarts(t *testing.T) {
	ctx := context.Background()
	server := testkit.RedisProcess(t, testkit.WithAOF())
	s := redisstore.New(client(t, server.Addr), "app", "one")
	_, err := s.Claim(ctx, 0, 1, "v1")
	require.NoError(t, err)
	c := &store.Commit{Old: "v1", New: "v2"}
	for i := range 20_000 {
		c.Lists = append(c.Lists, store.List{Key: fmt.Sprint(i), Head: []byte("h")})
	}
	require.NoError(t, s.Commit(ctx, c))
	got := make(map[string]bool)
	calls := 0
	err = s.Heads(ctx, 0, "v2", func(key string, _ []byte) error {
		if calls++; calls == 5000 {
			server.Stop()
			server.Start(t)
		}
		got[key] = true
		return nil
	})
	require.NoError(t, err)
	require.Len(t, got, 20_000)
}

// However many lists a shard has and however long one is, no command holds Redis for long: they are read in pieces.
func TestManyListsAreReadInPieces(t *testing.T) {
	ctx := context.Background()
	rdb := client(t, testkit.RedisProcess(t).Addr)
	s := redisstore.New(rdb, "app", "one")
	version := store.NewVersion()
	_, err := s.Claim(ctx, 0, 1, version)
	require.NoError(t, err)
	const lists, each = 50_000, 5000
	for i := 0; i < lists; i += each {
		c := &store.Commit{Old: version, New: store.NewVersion()}
		for j := range each {
			c.Lists = append(c.Lists, store.List{Key: fmt.Sprint("key-", i+j), Head: make([]byte, 100)})
		}
		require.NoError(t, s.Commit(ctx, c))
		version = c.New
	}
	for _, reader := range []store.Version{version, ""} {
		require.NoError(t, rdb.ConfigResetStat(ctx).Err())
		all, err := storetest.Heads(s, 0, reader)
		require.NoError(t, err)
		require.Len(t, all, lists)
		stats, err := rdb.Info(ctx, "commandstats").Result()
		require.NoError(t, err)
		require.Regexp(t, `cmdstat_hscan:calls=\d{2,3},`, stats, "in pieces")
		require.NotContains(t, stats, "hgetall")
	}
}

// Commands take 200 fields or values at most, of which the first pair is a marker. No number of lists or of events in one hash is wrong.
func TestListCommitsOfAnySize(t *testing.T) {
	ctx := context.Background()
	s := redisstore.New(client(t, testkit.RedisProcess(t).Addr), "app", "one")
	version := store.Version("0")
	_, err := s.Claim(ctx, 0, 1, version)
	require.NoError(t, err)
	commit := func(lists []store.List) {
		c := &store.Commit{Old: version, New: store.NewVersion(), Lists: lists}
		require.NoError(t, s.Commit(ctx, c))
		version = c.New
		require.NoError(t, s.Verify(ctx, 0, version))
	}
	event := [][]byte{[]byte("event")}
	for _, n := range []int{1, 98, 99, 100, 101, 198, 199, 200, 201, 399, 400, 401, 501} {
		var add, remove []store.List
		for i := range n { // n fields of one hash of events
			key := fmt.Sprint("key-", i)
			run := (15 - bucket(key)%15) * 64
			add = append(add, store.List{Key: key, Head: []byte(key), At: run, Events: event})
			remove = append(remove, store.List{Key: key, Drop: run, Till: run + 1})
			require.Equal(t, "{app:0}:aside:1", eventsOf(0, key, run))
		}
		commit(add)
		heads, err := storetest.Heads(s, 0, version)
		require.NoError(t, err)
		require.Len(t, heads, n)
		for _, l := range add {
			events, err := s.Aside(ctx, 0, version, l.Key, l.At, 10)
			require.NoError(t, err)
			require.Equal(t, event, events, "of %d", n)
		}
		commit(remove)
		heads, err = storetest.Heads(s, 0, version)
		require.NoError(t, err)
		require.Empty(t, heads)
		for _, l := range add {
			events, err := s.Aside(ctx, 0, version, l.Key, l.At, 10)
			require.NoError(t, err)
			require.Empty(t, events, "of %d", n)
		}
	}
}

// BenchmarkList sets events of a key aside, reads them, and drops them, some at a time: each is an operation.
func BenchmarkList(b *testing.B) {
	for _, events := range []int{1, 20, 256} {
		b.Run("events="+strconv.Itoa(events), func(b *testing.B) { workOff(b, events) })
	}
}

func workOff(b *testing.B, n int) {
	ctx := b.Context()
	rdb := redis.NewClient(&redis.Options{Addr: testkit.RedisProcess(b, testkit.WithAOF()).Addr})
	b.Cleanup(func() { _ = rdb.Close() })
	s := redisstore.New(rdb, "app", "one")
	version := store.NewVersion()
	_, err := s.Claim(ctx, 0, 1, version)
	require.NoError(b, err)
	commit := func(l store.List) {
		c := &store.Commit{Old: version, New: store.NewVersion(), Lists: []store.List{l}}
		require.NoError(b, s.Commit(ctx, c))
		version = c.New
	}
	key, head := "load-abcdef-7", make([]byte, 60)
	events := make([][]byte, n)
	for i := range events {
		events[i] = make([]byte, 200)
	}
	var add, read, drop, index uint64
	b.ReportAllocs()
	for b.Loop() {
		at := redisCPU(b, rdb)
		commit(store.List{Key: key, Head: head, At: index, Events: events})
		added := redisCPU(b, rdb)
		got, err := s.Aside(ctx, 0, version, key, index, n)
		require.NoError(b, err)
		require.Len(b, got, n)
		was := redisCPU(b, rdb)
		commit(store.List{Key: key, Head: head, Drop: index, Till: index + uint64(n)})
		add, read, drop = add+added-at, read+was-added, drop+redisCPU(b, rdb)-was
		index += uint64(n)
	}
	each := float64(b.N * n)
	b.ReportMetric(float64(add)/each, "add-us/event")
	b.ReportMetric(float64(read)/each, "read-us/event")
	b.ReportMetric(float64(drop)/each, "drop-us/event")
}

// redisCPU is the time that scripts have taken in Redis, in microseconds.
func redisCPU(b *testing.B, rdb *redis.Client) uint64 {
	info, err := rdb.InfoMap(b.Context(), "commandstats").Result()
	require.NoError(b, err)
	for name, stat := range info["Commandstats"] {
		if name != "cmdstat_evalsha" {
			continue
		}
		for part := range strings.SplitSeq(stat, ",") {
			if usec, is := strings.CutPrefix(part, "usec="); is {
				n, err := strconv.ParseUint(usec, 10, 64)
				require.NoError(b, err)
				return n
			}
		}
	}
	return 0
}
