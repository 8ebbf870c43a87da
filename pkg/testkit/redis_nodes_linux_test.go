package testkit

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// A replica takes over its master's slots with the data.
func TestRedisClusterFailsOver(t *testing.T) {
	c := StartRedisCluster(t, 3, 3, WithAOF())
	opts, err := redis.ParseClusterURL(c.URL())
	require.NoError(t, err)
	require.Len(t, opts.Addrs, 6)
	client := redis.NewClusterClient(opts)
	defer client.Close()
	for i := range 20 {
		require.NoError(t, client.Set(t.Context(), fmt.Sprint(i), i, 0).Err())
	}
	require.Eventually(t, func() bool {
		copied := int64(0)
		for _, r := range c.Replicas {
			copied += clientOf(t, r).DBSize(context.Background()).Val()
		}
		return copied == 20
	}, formTimeout, 20*time.Millisecond)
	c.Masters[0].Kill()
	for i := range 20 {
		require.Eventually(t, func() bool {
			client.ReloadState(context.Background()) // it would do so once a minute
			return client.Get(context.Background(), fmt.Sprint(i)).Val() == fmt.Sprint(i)
		}, formTimeout, 20*time.Millisecond)
	}
	c.Masters[0].Start(t)
	c.Await(t)
}

// A replica takes over from a master that hangs.
func TestRedisSentinelFailsOver(t *testing.T) {
	s := StartRedisSentinel(t, 1, 3)
	opts, err := redis.ParseFailoverURL(s.URL())
	require.NoError(t, err)
	client := redis.NewFailoverClient(opts)
	defer client.Close()
	require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())
	require.NoError(t, client.Wait(t.Context(), 1, 10*time.Second).Err())
	s.Master.Pause(t)
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return client.Set(ctx, "k", "w", 0).Err() == nil
	}, formTimeout, 20*time.Millisecond)
	require.Equal(t, "w", clientOf(t, s.Replicas[0]).Get(t.Context(), "k").Val())
	s.Master.Resume(t)
}

func clientOf(t *testing.T, r *RedisServer) *redis.Client { return client(t, r.Addr) }
