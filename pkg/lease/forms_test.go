package lease_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/testkit"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func connect(t *testing.T, server string) redis.UniversalClient {
	t.Helper()
	c, err := redisconn.Connect("lock-redis", server, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { redisconn.Close(c) })
	return c
}

// A cluster, or a master with its replicas, is one server of the quorum. If a master dies, a replica takes over, and leases are taken,
// renewed, unlocked and released as before. One that the replica had not received yet is found to be lost.
func TestLeasesSurviveAFailover(t *testing.T) {
	sentinel := testkit.StartRedisSentinel(t, 1, 3)
	cluster := testkit.StartRedisCluster(t, 3, 3)
	for name, c := range map[string]struct {
		url  string
		fail func()
	}{
		"Sentinel": {sentinel.URL(), sentinel.Master.Kill},
		"cluster":  {cluster.URL(), cluster.Masters[0].Kill},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			client := connect(t, c.url)
			l := locker(t, 10*time.Second, client)
			const shards = 12 // on all masters
			var held []*lease.Lease
			for shard := range shards {
				a, err := l.Try(ctx, shard, "a")
				require.NoError(t, err)
				_, err = l.Try(ctx, shard, "b")
				require.ErrorIs(t, err, lease.ErrTaken)
				held = append(held, a)
			}
			c.fail()
			for shard, a := range held {
				require.Eventually(t, func() bool {
					if a.Context().Err() != nil {
						return true
					}
					_, err := l.Try(ctx, shard, "b")
					var taken *lease.Taken
					return errors.As(err, &taken)
				}, 60*time.Second, 50*time.Millisecond, "shard %d: neither held nor lost", shard)
				require.Eventually(t, func() bool { return l.Unlock(ctx, shard, "a") == nil }, 60*time.Second, 50*time.Millisecond)
				_ = a.Release(ctx)
				var b *lease.Lease
				require.Eventually(t, func() bool {
					var err error
					b, err = l.Try(ctx, shard, "b")
					return err == nil
				}, 60*time.Second, 50*time.Millisecond, "shard %d is not free", shard)
				require.NoError(t, b.Release(ctx))
			}
		})
	}
}

// A quorum of a server, a Sentinel's master and a cluster does without one of them.
func TestQuorumOfForms(t *testing.T) {
	ctx := context.Background()
	one := testkit.RedisProcess(t)
	sentinel, cluster := testkit.StartRedisSentinel(t, 0, 1), testkit.StartRedisCluster(t, 3, 0)
	l := locker(t, 10*time.Second, client(t, one.Addr), connect(t, sentinel.URL()), connect(t, cluster.URL()))
	one.Kill()
	// Few shards: after many dials that failed, go-redis dials once a second, for up to a second after its end.
	for shard := range 2 {
		a, err := l.Try(ctx, shard, "a")
		require.NoError(t, err)
		_, err = l.Try(ctx, shard, "b")
		require.ErrorIs(t, err, lease.ErrTaken)
		require.NoError(t, l.Unlock(ctx, shard, "a"))
		b, err := l.Try(ctx, shard, "b")
		require.NoError(t, err)
		require.NoError(t, a.Release(ctx))
		require.NoError(t, b.Release(ctx))
	}
}
