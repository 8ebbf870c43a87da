package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/store/storetest"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/testkit/redisnodes"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func clusterClient(t *testing.T, c *testkit.RedisCluster) *redis.ClusterClient {
	t.Helper()
	rdb, err := redisconn.Connect("redis", c.URL(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { redisconn.Close(rdb) })
	return rdb.(*redis.ClusterClient)
}

func TestRedisCluster(t *testing.T) {
	rdb := clusterClient(t, testkit.StartRedisCluster(t, 3, 0))
	storetest.Run(t, func(t *testing.T) storetest.Kept {
		k := kept(t, rdb, func(topology string) store.Store { return redisstore.New(rdb, "app", topology) })
		k.Wipe()
		return k
	})
}

// owned is a shard of a store, and its version.
type owned struct {
	store   store.Store
	shard   int
	version store.Version
	n       int
}

func own(t *testing.T, s store.Store, shard int) *owned {
	t.Helper()
	o := &owned{store: s, shard: shard, version: store.NewVersion()}
	_, err := s.Claim(context.Background(), shard, 1, o.version)
	require.NoError(t, err)
	return o
}

// commit writes a state and moves a list on, repeating the call while its outcome is unknown and ctx lasts.
func (o *owned) commit(ctx context.Context) error {
	o.n++
	c := &store.Commit{
		Shard: o.shard, Old: o.version, New: store.NewVersion(),
		States: []store.Pair{{Key: "k", Value: fmt.Append(nil, o.n)}, {Key: "other", Value: []byte("x")}},
		Lists: []store.List{{
			Key: "k", Head: fmt.Append(nil, o.n), Drop: uint64(o.n - 1), Till: uint64(o.n), At: uint64(o.n), Events: [][]byte{fmt.Append(nil, o.n)},
		}},
	}
	for {
		err := o.store.Commit(ctx, c)
		if err == nil {
			o.version = c.New
			return nil
		}
		if errors.Is(err, store.ErrStale) || ctx.Err() != nil {
			return err
		}
	}
}

// onNodes returns one shard on each of the masters.
func onNodes(t *testing.T, rdb *redis.ClusterClient, masters []*testkit.RedisServer) []int {
	t.Helper()
	shards := make([]int, len(masters))
	for i, m := range masters {
		for shards[i] = 0; ; shards[i]++ {
			node, err := rdb.MasterForKey(t.Context(), record(shards[i]))
			require.NoError(t, err)
			if node.Options().Addr == m.Addr {
				break
			}
		}
	}
	return shards
}

func addrsOf(c *testkit.RedisCluster) (all []string) {
	for _, n := range c.Nodes() {
		all = append(all, n.Addr)
	}
	return all
}

const patience = 60 * time.Second

// While a node hangs, the shards of other nodes commit, and none of their calls waits for it.
func TestNodesDoNotWaitForOneAnother(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := testkit.StartRedisCluster(t, 3, 0, testkit.WithArgs("--cluster-require-full-coverage", "no"))
	rdb := clusterClient(t, c)
	s := redisstore.New(rdb, "app", "one")
	require.NoError(t, s.Check(ctx, 16))
	shards := onNodes(t, rdb, c.Masters)
	hung, other := own(t, s, shards[0]), own(t, s, shards[1])
	require.NoError(t, hung.commit(ctx))
	c.Masters[0].Pause(t)
	returned := make(chan error, 1)
	go func() { returned <- hung.commit(ctx) }()
	for range 200 {
		require.NoError(t, other.commit(ctx))
	}
	positions, err := s.Shards(ctx, max(shards[0], shards[1])+1)
	require.NoError(t, err)
	require.Error(t, positions[shards[0]].Err)
	require.NoError(t, positions[shards[1]].Err)
	select {
	case err := <-returned:
		require.Fail(t, "the node hangs, and yet the commit returned", "%v", err)
	default:
	}
	c.Masters[0].Resume(t)
	require.NoError(t, <-returned)
}

// Where a master dies, or hangs, its replica takes over, and so do the calls.
func TestReplicaTakesOver(t *testing.T) {
	c := testkit.StartRedisCluster(t, 3, 3)
	rdb := clusterClient(t, c)
	s := redisstore.New(rdb, "app", "one")
	shards := onNodes(t, rdb, c.Masters)
	for i, fail := range []func(m *testkit.RedisServer){
		func(m *testkit.RedisServer) { m.Kill() },
		func(m *testkit.RedisServer) { m.Pause(t) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		o := own(t, s, shards[i])
		for range 50 {
			require.NoError(t, o.commit(ctx))
		}
		pairs, err := redisnodes.AwaitPairs(ctx, addrsOf(c), len(c.Masters))
		require.NoError(t, err)
		for _, p := range pairs {
			require.Eventually(t, func() bool { // the replica has all
				bytes, err := p.Lag(ctx)
				return err == nil && bytes == 0
			}, patience, 10*time.Millisecond)
		}
		fail(c.Masters[i])
		began := time.Now()
		require.NoError(t, o.commit(ctx))
		t.Logf("the first commit after %s", time.Since(began).Round(time.Millisecond))
		for range 50 {
			require.NoError(t, o.commit(ctx))
		}
		if i == 0 {
			c.Masters[i].Start(t) // most masters must live
			c.Await(t)
		}
	}
	c.Masters[1].Resume(t)
}

// Under Sentinel too a replica takes over from a master that hangs.
func TestReplicaTakesOverUnderSentinel(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sentinel := testkit.StartRedisSentinel(t, 1, 3)
	rdb, err := redisconn.Connect("redis", sentinel.URL(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { redisconn.Close(rdb) })
	s := redisstore.New(rdb, "app", "one")
	require.NoError(t, s.Check(ctx, 16))
	reconnected := s.Reconnected()
	o := own(t, s, 0)
	for range 50 {
		require.NoError(t, o.commit(ctx))
	}
	pairs, err := redisnodes.AwaitPairs(ctx, []string{sentinel.Master.Addr, sentinel.Replicas[0].Addr}, 1)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		lag, err := pairs[0].Lag(ctx)
		return err == nil && lag == 0
	}, patience, 10*time.Millisecond)
	for len(reconnected) > 0 {
		<-reconnected
	}
	sentinel.Master.Pause(t)
	began := time.Now()
	require.NoError(t, o.commit(ctx))
	t.Logf("the first commit after %s", time.Since(began).Round(time.Millisecond))
	for range 50 {
		require.NoError(t, o.commit(ctx))
	}
	<-reconnected
	sentinel.Master.Resume(t)
}

// While a shard's slot is being moved its calls wait, say so, and end with their context.
func TestSlotOnTheMove(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := testkit.StartRedisCluster(t, 2, 0)
	rdb := clusterClient(t, c)
	s := redisstore.New(rdb, "app", "one")
	o := own(t, s, 0)
	require.NoError(t, o.commit(ctx))
	move, err := redisnodes.NewMove(ctx, c.Masters[0].Addr, record(0), func(others []redisnodes.Master) redisnodes.Master { return others[0] })
	require.NoError(t, err)
	require.NoError(t, move.Begin(ctx))
	require.NoError(t, o.commit(ctx), "nothing has moved")
	require.NoError(t, move.Migrate(ctx, record(0)))

	told := make(chan string, 100)
	waits := store.WithWaits(ctx, func(reason string) { told <- reason })
	left, leave := context.WithCancelCause(ctx)
	handedOver := errors.New("handed over")
	abandoned := *o
	returned, claimed := make(chan error, 1), make(chan error, 1)
	var done atomic.Bool
	go func() { returned <- abandoned.commit(left) }()
	go func() {
		err := o.commit(waits)
		done.Store(true)
		returned <- err
	}()
	require.Equal(t, "its slot is being moved to another Redis node", <-told)
	leave(handedOver)
	require.ErrorIs(t, <-returned, handedOver)
	go func() {
		_, err := s.Claim(left, 0, 1, "another")
		claimed <- err
	}()
	require.ErrorIs(t, <-claimed, handedOver)
	require.False(t, done.Load())
	require.NoError(t, move.End(ctx))
	require.NoError(t, <-returned)
	require.Equal(t, "", <-told)
	require.NoError(t, o.commit(ctx))
	_, err = s.Claim(ctx, 0, 1, "another")
	require.NoError(t, err)
}
