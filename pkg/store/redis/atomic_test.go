package redis_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/store/storetest"
	"example.com/lockstep/pkg/testkit"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// A call to a shard one of whose keys is something else fails before its first write, also if the slot is torn.
func TestTypesAreCheckedFirst(t *testing.T) {
	ctx := context.Background()
	rdb := client(t, testkit.RedisProcess(t).Addr)
	s := redisstore.New(rdb, "app", "one")
	keys := slot(0)
	states := make([]store.Pair, 1000) // of all buckets
	for i := range states {
		states[i] = store.Pair{Key: fmt.Sprint(i), Value: []byte("x")}
	}
	lists := []store.List{{Key: "k", Head: []byte("h"), Events: make([][]byte, 64*15)}} // of all hashes
	for i := range lists[0].Events {
		lists[0].Events[i] = []byte("x")
	}
	for i, key := range keys {
		for _, torn := range []bool{false, true} {
			require.NoError(t, rdb.FlushAll(ctx).Err())
			_, err := s.Claim(ctx, 0, 1, "v1")
			require.NoError(t, err)
			require.NoError(t, rdb.Set(ctx, key, "not a hash", 0).Err())
			if torn {
				require.NoError(t, rdb.Del(ctx, keys[(i+1)%len(keys)]).Err())
				require.NoError(t, rdb.Del(ctx, keys[(i+2)%len(keys)]).Err())
			}
			before := dump(t, rdb)
			if !torn {
				err = s.Commit(ctx, &store.Commit{Shard: 0, Old: "v1", New: "v2", States: states, Lists: lists})
				require.ErrorContains(t, err, "WRONGTYPE", key)
			}
			if key == heads(0) && !torn {
				_, err = storetest.Heads(s, 0, "v1")
				require.ErrorContains(t, err, "WRONGTYPE")
			} else if strings.Contains(key, ":aside:") && !torn {
				_, err = s.Aside(ctx, 0, "v1", "k", 0, 64*15)
				require.ErrorContains(t, err, "WRONGTYPE", key)
			}
			_, err = s.Claim(ctx, 0, 1, "v2")
			require.ErrorContains(t, err, "WRONGTYPE", key)
			require.ErrorContains(t, s.Empty(ctx, 0, ""), "WRONGTYPE", key)
			_, err = s.Intact(ctx, 0)
			require.ErrorContains(t, err, "WRONGTYPE", key)
			require.Equal(t, before, dump(t, rdb), key)
		}
	}
	none, _, err := s.States(ctx, 1, []string{"k"})
	require.NoError(t, err, "another shard")
	require.Nil(t, none[0])
}

// dump is all that a Redis holds.
func dump(t *testing.T, rdb *redis.Client) map[string]string {
	ctx := context.Background()
	keys, err := rdb.Keys(ctx, "*").Result()
	require.NoError(t, err)
	out := make(map[string]string, len(keys))
	for _, key := range keys {
		out[key] = rdb.Dump(ctx, key).Val()
	}
	return out
}

// A claim makes what a slot's record neither names nor has, keeps all else, and the slot can be used.
func TestClaimMakesWhatIsMissing(t *testing.T) {
	ctx := context.Background()
	kept := store.Position{Epoch: 1, Seq: 7}
	for name, change := range map[string]func(*redis.Client) error{
		"fence":    func(rdb *redis.Client) error { return rdb.HDel(ctx, record(0), "fence", "needs", "topology").Err() },
		"version":  func(rdb *redis.Client) error { return rdb.HDel(ctx, record(0), "version").Err() },
		"a bucket": func(rdb *redis.Client) error { return lose(rdb, 1) },
		"hashes":   func(rdb *redis.Client) error { return lose(rdb, 33) },
	} {
		t.Run(name, func(t *testing.T) {
			rdb := client(t, testkit.RedisProcess(t).Addr)
			s := redisstore.New(rdb, "app", "one")
			_, err := s.Claim(ctx, 0, 1, "v1")
			require.NoError(t, err)
			require.NoError(t, s.Commit(ctx, &store.Commit{Shard: 0, Old: "v1", New: "v2", Position: kept, States: []store.Pair{{Key: "k", Value: []byte("x")}}}))
			require.NoError(t, change(rdb))
			r, err := s.Claim(ctx, 0, 5, "v3")
			require.NoError(t, err)
			require.Equal(t, kept, r.Position)
			require.Equal(t, uint64(5), r.Fence)
			require.NoError(t, s.Verify(ctx, 0, "v3"))
			require.ErrorIs(t, redisstore.New(rdb, "app", "two").Check(ctx, 1), store.ErrTopology)
			require.Equal(t, "1", rdb.HGet(ctx, record(0), "needs").Val())
			require.Equal(t, int64(33), rdb.DBSize(ctx).Val())
			require.NoError(t, s.Commit(ctx, &store.Commit{Shard: 0, Old: "v3", New: "v4", Position: kept, States: []store.Pair{{Key: "other", Value: []byte("y")}}}))
			require.NoError(t, s.Verify(ctx, 0, "v4"))
			states, err := s.Load(ctx, 0, "v4", []string{"k", "other"})
			require.NoError(t, err)
			require.Equal(t, "y", string(states[1]))
			if name != "hashes" {
				require.Equal(t, "x", string(states[0]))
			}
		})
	}
}

// lose removes n of a slot's hashes, and their markers from its record.
func lose(rdb *redis.Client, n int) error {
	ctx := context.Background()
	for _, key := range slot(0)[max(1, 33-n):] {
		parts := strings.Split(key, ":")
		if err := rdb.HDel(ctx, record(0), "m:"+parts[2]+":"+parts[3]).Err(); err != nil {
			return err
		}
		if err := rdb.Del(ctx, key).Err(); err != nil {
			return err
		}
	}
	return nil
}

// Commands take 200 fields or values at most, of which the first pair is a marker. No number of keys in one bucket is wrong.
func TestCommitsOfAnySizeOfOneBucket(t *testing.T) {
	ctx := context.Background()
	s := redisstore.New(client(t, testkit.RedisProcess(t).Addr), "app", "one")
	var keys []string
	for i := 0; len(keys) < 501; i++ {
		if key := fmt.Sprint("key-", i); bucketOf(0, key) == bucketOf(0, "k") {
			keys = append(keys, key)
		}
	}
	version := store.Version("0")
	_, err := s.Claim(ctx, 0, 1, version)
	require.NoError(t, err)
	commit := func(keys []string, value func(key string) []byte) {
		c := &store.Commit{Shard: 0, Old: version, New: store.NewVersion()}
		for i, key := range keys {
			c.States = append(c.States, store.Pair{Key: key, Value: value(key)})
			c.Dedup = append(c.Dedup, store.Pair{Key: fmt.Sprint(i), Value: value(key)})
		}
		require.NoError(t, s.Commit(ctx, c))
		version = c.New
		require.NoError(t, s.Verify(ctx, 0, version))
	}
	removed := func(string) []byte { return nil }
	for _, n := range []int{1, 98, 99, 100, 101, 198, 199, 200, 201, 202, 399, 400, 401, 501} {
		commit(keys[:n], func(key string) []byte { return []byte(key) })
		states, err := s.Load(ctx, 0, version, keys)
		require.NoError(t, err)
		for i, key := range keys {
			if i < n {
				require.Equal(t, key, string(states[i]), "of %d", n)
			} else {
				require.Nil(t, states[i], "of %d", n)
			}
		}
		publishers, err := storetest.Publishers(s, 0, version)
		require.NoError(t, err)
		require.Len(t, publishers, n)
		commit(keys[:n], removed)
		states, err = s.Load(ctx, 0, version, keys[:n])
		require.NoError(t, err)
		require.Equal(t, make([][]byte, n), states, "of %d", n)
	}
}

// Large states go through, as many as a round may hold.
func TestCommitOfLargeStates(t *testing.T) {
	ctx := context.Background()
	s := redisstore.New(client(t, testkit.RedisProcess(t).Addr), "app", "one")
	_, err := s.Claim(ctx, 0, 1, "v1")
	require.NoError(t, err)
	large := []byte(strings.Repeat("x", 500<<10))
	c := &store.Commit{Shard: 0, Old: "v1", New: "v2"}
	var keys []string
	for i := range 64 {
		keys = append(keys, fmt.Sprint(i))
		c.States = append(c.States, store.Pair{Key: keys[i], Value: append(large[:len(large):len(large)], keys[i]...)})
	}
	require.NoError(t, s.Commit(ctx, c))
	states, err := s.Load(ctx, 0, "v2", keys)
	require.NoError(t, err)
	for i, state := range states {
		require.Equal(t, c.States[i].Value, state)
	}
}

// A Redis whose memory is full refuses a commit and a claim before their first write. One that fills up in the middle of a
// script lets it end. So nothing is half done, and a repetition succeeds when there is memory.
func TestFullRedisDoesNothingByHalves(t *testing.T) {
	ctx := context.Background()
	rdb := client(t, testkit.RedisProcess(t, testkit.WithArgs("--maxmemory-policy", "noeviction")).Addr)
	s := redisstore.New(rdb, "app", "one")
	_, err := s.Claim(ctx, 0, 1, "0")
	require.NoError(t, err)
	used, err := rdb.InfoMap(ctx, "memory").Result()
	require.NoError(t, err)
	require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", used["Memory"]["used_memory"]).Err())
	_, err = s.Claim(ctx, 0, 2, "v")
	require.ErrorContains(t, err, "OOM")
	_, err = s.Claim(ctx, 1, 2, "v")
	require.ErrorContains(t, err, "OOM")
	require.NoError(t, s.Verify(ctx, 0, "0"))
	require.Equal(t, int64(33), rdb.DBSize(ctx).Val())

	require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", "20mb").Err())
	version, full := store.Version("0"), 0
	for n := 1; full < 3; n++ {
		c := &store.Commit{Shard: 0, Old: version, New: store.NewVersion(), Late: uint64(n)}
		for i := range 2000 {
			c.States = append(c.States, store.Pair{Key: fmt.Sprint(n, i), Value: make([]byte, 1000)})
			c.Lists = append(c.Lists, store.List{Key: fmt.Sprint(n, i), Head: []byte("h"), Events: [][]byte{make([]byte, 100)}})
		}
		err := s.Commit(ctx, c)
		if err != nil {
			require.ErrorContains(t, err, "OOM")
			full++
			require.NoError(t, s.Verify(ctx, 0, version), "nothing has changed")
			states, err := s.Load(ctx, 0, version, []string{c.States[0].Key, c.States[1999].Key})
			require.NoError(t, err)
			require.Equal(t, [][]byte{nil, nil}, states)
			list, err := s.Aside(ctx, 0, version, c.Lists[0].Key, 0, 1)
			require.NoError(t, err)
			require.Empty(t, list)
			require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", fmt.Sprint(20+10*full, "mb")).Err())
			require.NoError(t, s.Commit(ctx, c))
		}
		version = c.New
		require.NoError(t, s.Verify(ctx, 0, version))
	}
}

// slow comes before a script, which then takes long in its first write: before the write, or behind it.
const slow = `local redis = (function()
  local server = redis
  local function spin()
    for _ = 1, 1e8 do
    end
  end
  local call = function(command, ...)
    if command ~= 'HSET' then
      return server.call(command, ...)
    end
    %s
    return answer
  end
  return setmetatable({call = call}, {__index = server})
end)()
`

// An operator kills a script that takes long. Redis ends it only if it has not written.
func TestKilledScriptDoesNothingByHalves(t *testing.T) {
	ctx := context.Background()
	rdb := client(t, testkit.RedisProcess(t, testkit.WithArgs("--lua-time-limit", "1")).Addr)
	at := func(firstWrite string) store.Store {
		return redisstore.NewWith(rdb, "app", "one", func(source string) string { return fmt.Sprintf(slow, firstWrite) + source })
	}
	s := redisstore.New(rdb, "app", "one")
	_, err := s.Claim(ctx, 0, 1, "v1")
	require.NoError(t, err)
	c := &store.Commit{Shard: 0, Old: "v1", New: "v2", States: []store.Pair{{Key: "a", Value: []byte("x")}, {Key: "b", Value: []byte("x")}},
		Lists: []store.List{{Key: "a", Head: []byte("h"), Events: [][]byte{[]byte("x")}}}}
	err = killed(ctx, rdb, func() error { return at("spin() local answer = server.call(command, ...)").Commit(ctx, c) }, "")
	require.ErrorContains(t, err, "killed by user")
	require.NoError(t, s.Verify(ctx, 0, "v1"), "nothing was written")
	err = killed(ctx, rdb, func() error {
		return at("local answer = server.call(command, ...) spin() spin = function() end").Commit(ctx, c)
	}, "UNKILLABLE")
	require.NoError(t, err)
	require.NoError(t, s.Verify(ctx, 0, "v2"), "all was written")
	states, err := s.Load(ctx, 0, "v2", []string{"a", "b"})
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("x"), []byte("x")}, states)
	list, err := s.Aside(ctx, 0, "v2", "a", 0, 2)
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("x")}, list)
}

// killed makes a call, and tries to kill its script until that works or Redis answers with refusal. It returns the call's error.
func killed(ctx context.Context, rdb *redis.Client, call func() error, refusal string) error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	for {
		select {
		case err := <-done:
			return fmt.Errorf("it ended before it was killed: %w", err)
		default:
		}
		if err := rdb.ScriptKill(ctx).Err(); err == nil && refusal == "" || err != nil && refusal != "" && strings.HasPrefix(err.Error(), refusal) {
			return <-done
		}
	}
}
