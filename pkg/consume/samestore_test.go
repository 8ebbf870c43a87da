package consume

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// on makes a worker use another Redis than the rig's.
func on(t *testing.T, addr string) func(*Config) {
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return func(c *Config) { c.Store = func(id string) store.Store { return redisstore.New(rdb, "app", id) } }
}

// A worker with a Redis of its own would fill that from the log, and half of all keys would be missing in each.
func TestWorkerOnAnotherStoreIsRefused(t *testing.T) {
	r := newRig(t, 4)
	first := r.start()
	r.send(0, "a")
	r.applied()
	stranger := r.worker(on(t, testkit.Redis(t)))
	err := stranger.Start(background)
	require.ErrorIs(t, err, errAnotherStore)
	require.ErrorContains(t, err, `worker "w" does not find in its Redis what this one wrote to its own: give all workers of app app the same --redis`)
	require.NoError(t, stranger.Stop(background))
	eventually(t, func() bool { return len(first.group.Members()) == 1 }, "the stranger has left")
	require.NotContains(t, first.log.String(), "member joined", "no shard was handed over for it")
	require.Equal(t, 4, len(first.status().Shards))

	second := r.start()
	eventually(t, func() bool { return len(second.status().Shards) == 2 }, "one that shares the store joins")
	require.Equal(t, uint64(1), r.position(0))
}

// Nobody can be asked at first, and a store that was flushed is still the same store.
func TestWorkersStartAtOnceOnAnEmptyStore(t *testing.T) {
	r := newRig(t, 4)
	workers := []*tester{r.worker(), r.worker(), r.worker()}
	started := make(chan error, len(workers))
	for _, w := range workers {
		go func() { started <- w.Start(background) }()
	}
	for range workers {
		require.NoError(t, <-started)
	}
	r.send(1, "a")
	r.applied()
	require.NoError(t, r.rdb.FlushAll(background).Err())
	require.NoError(t, r.worker().Start(background))
	r.applied()
}

// A connection that comes back may lead to another Redis, by a name that means another server now.
func TestWorkerThatIsLedToAnotherStoreEnds(t *testing.T) {
	r := newRigOn(t, 2, testkit.RedisProcess(t).Addr)
	var leads atomic.Pointer[string] // to where the second worker's connections lead
	leads.Store(&r.rdb.(*redis.Client).Options().Addr)
	rdb := redis.NewClient(&redis.Options{Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", *leads.Load())
	}})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	first := r.start()
	second := r.start(func(c *Config) { c.Store = func(id string) store.Store { return redisstore.New(rdb, "app", id) } })
	eventually(t, func() bool { return len(first.status().Shards) == 1 && len(second.status().Shards) == 1 }, "each has a shard")
	other := testkit.Redis(t)
	leads.Store(&other)
	require.NoError(t, r.rdb.Do(background, "CLIENT", "KILL", "TYPE", "normal").Err())
	select {
	case err := <-second.Failed():
		require.ErrorIs(t, err, errAnotherStore)
	case <-time.After(20 * time.Second):
		require.Fail(t, "not noticed")
	}
	require.Empty(t, first.Failed())
}

// A member that does not answer proves nothing: the worker has to ask again.
func TestSilentMembersProveNothing(t *testing.T) {
	r := newRig(t, 1)
	w := r.start()
	sure, err := w.sharesStore(background, []string{"nobody"})
	require.NoError(t, err)
	require.False(t, sure)
	sure, err = w.sharesStore(background, nil)
	require.NoError(t, err)
	require.True(t, sure, "there is nobody to differ from")
}
