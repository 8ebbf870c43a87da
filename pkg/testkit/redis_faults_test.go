package testkit

import (
	"context"
	"fmt"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit/redisnodes"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func clusterClient(t *testing.T, c *RedisCluster) *redis.ClusterClient {
	t.Helper()
	opts, err := redis.ParseClusterURL(c.URL())
	require.NoError(t, err)
	client := redis.NewClusterClient(opts)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func addrs(c *RedisCluster) (all []string) {
	for _, n := range c.Nodes() {
		all = append(all, n.Addr)
	}
	return all
}

// A slot's keys go to another master, where they are found at each step. From the first step on the source refuses a call that
// names a missing key, though all others are there.
func TestRedisClusterMovesASlot(t *testing.T) {
	c := StartRedisCluster(t, 3, 0)
	rdb := clusterClient(t, c)
	key := func(i int) string { return fmt.Sprintf("{a}:%d", i) }
	for i := range 4 {
		require.NoError(t, rdb.Set(t.Context(), key(i), i, 0).Err())
	}
	m, err := redisnodes.NewMove(t.Context(), c.Masters[0].Addr, key(0), func(others []redisnodes.Master) redisnodes.Master { return others[1] })
	require.NoError(t, err)
	require.NoError(t, m.Begin(t.Context()))
	source := client(t, m.From.Addr)
	require.ErrorContains(t, source.Eval(t.Context(), "return 1", []string{key(0), key(9)}).Err(), "TRYAGAIN")
	require.NoError(t, m.Migrate(t.Context(), key(1), key(3)))
	keys, err := m.Keys(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{key(0), key(2)}, keys)
	for i := range 4 {
		require.Equal(t, fmt.Sprint(i), rdb.Get(t.Context(), key(i)).Val())
	}
	require.NoError(t, m.End(t.Context()))
	for _, n := range c.Masters {
		masters, err := redisnodes.Masters(t.Context(), n.Addr)
		require.NoError(t, err)
		require.Len(t, masters, 3)
		again, err := redisnodes.NewMove(t.Context(), n.Addr, key(0), func(others []redisnodes.Master) redisnodes.Master { return others[0] })
		require.NoError(t, err)
		require.Equal(t, m.To.Addr, again.From.Addr)
	}
	require.EqualValues(t, 4, client(t, m.To.Addr).DBSize(t.Context()).Val())
}

// A replica that was cut off takes over without the latest writes. The master, once it is back, loses them too.
func TestRedisReplicaTakesOverWithoutTheLatestWrites(t *testing.T) {
	c := StartRedisCluster(t, 3, 3, WithAOF())
	rdb := clusterClient(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), formTimeout)
	defer cancel()
	pairs, err := redisnodes.AwaitPairs(ctx, addrs(c), 3)
	require.NoError(t, err)
	p := pairs[0]
	key := keyOf(t, p.Master, rdb)
	require.NoError(t, rdb.Set(ctx, key, "old", 0).Err())
	require.Eventually(t, func() bool {
		lag, err := p.Lag(ctx)
		return err == nil && lag == 0
	}, formTimeout, 20*time.Millisecond)
	require.NoError(t, p.Cut(ctx))
	require.NoError(t, rdb.Set(ctx, key, "new", 0).Err())
	lag, err := p.Lag(ctx)
	require.NoError(t, err)
	require.Positive(t, lag)
	var master *RedisServer
	for _, n := range c.Nodes() {
		if n.Addr == p.Master {
			master = n
		}
	}
	master.Kill()
	require.NoError(t, p.AwaitTakeover(ctx))
	require.NoError(t, p.Mend(ctx))
	require.Eventually(t, func() bool {
		rdb.ReloadState(ctx) // it would do so once a minute
		return rdb.Get(ctx, key).Val() == "old"
	}, formTimeout, 20*time.Millisecond)
	master.Start(t)
	pairs, err = redisnodes.AwaitPairs(ctx, addrs(c), 3)
	require.NoError(t, err)
	require.Contains(t, pairs, redisnodes.Pair{Master: p.Replica, Replica: p.Master})
	require.Equal(t, "old", rdb.Get(ctx, key).Val())
}

// keyOf returns a key that the master at addr serves.
func keyOf(t *testing.T, addr string, rdb *redis.ClusterClient) string {
	t.Helper()
	for i := range 1000 {
		key := fmt.Sprint(i)
		serving, err := rdb.MasterForKey(t.Context(), key)
		require.NoError(t, err)
		if serving.Options().Addr == addr {
			return key
		}
	}
	require.Fail(t, "no key lies there", addr)
	return ""
}
