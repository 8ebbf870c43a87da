package stack

import (
	"context"
	"errors"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// A server under Sentinel that is started again knows whether it is the master.
func TestRedisUnderSentinel(t *testing.T) {
	t.Parallel()
	s := startRedisOf(t, RedisSentinel)
	opts, err := redis.ParseFailoverURL(s.redis.address())
	require.NoError(t, err)
	client := redis.NewFailoverClient(opts)
	defer client.Close()
	require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())
	require.NoError(t, client.Wait(t.Context(), 1, 10*time.Second).Err())
	nodes := s.RedisNodes()
	require.Len(t, nodes, 2)
	require.Equal(t, "redis-2", nodes[1].Name)

	release, err := s.Hold("redis-1")
	require.NoError(t, err)
	_, err = s.Signal("redis-1", syscall.SIGKILL)
	require.NoError(t, err)
	awaitRole(t, s, nodes[1], "master")
	was, err := s.Signal("redis-2", syscall.SIGKILL)
	require.NoError(t, err)
	require.NoError(t, s.AwaitReady(t.Context(), "redis-2", was))
	require.NoError(t, role(t, nodes[1].Addr, "master"))
	release()
	awaitRole(t, s, nodes[0], "slave")
	require.NoError(t, s.AwaitRedis(t.Context()))
	require.Equal(t, "v", client.Get(t.Context(), "k").Val())
}

func TestRedisCluster(t *testing.T) {
	t.Parallel()
	s := startRedisOf(t, RedisCluster)
	opts, err := redis.ParseClusterURL(s.redis.address())
	require.NoError(t, err)
	require.Len(t, opts.Addrs, 6)
	client := redis.NewClusterClient(opts)
	defer client.Close()
	require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())
	was, err := s.Signal("redis-1", syscall.SIGTERM)
	require.NoError(t, err)
	require.NoError(t, s.AwaitReady(t.Context(), "redis-1", was))
	require.NoError(t, s.AwaitRedis(t.Context()))
	require.Equal(t, "v", client.Get(t.Context(), "k").Val())
}

func startRedisOf(t *testing.T, kind string) *Stack {
	t.Helper()
	if _, err := exec.LookPath(redisProgram); err != nil {
		t.Skip("did not run: there is no redis-server on PATH")
	}
	s, said := newStack(t, t.TempDir(), kind)
	require.NoError(t, s.prepareDir())
	require.NoError(t, s.startRedis(t.Context()))
	require.Contains(t, said.String(), "the log starts empty: --redis="+kind+" keeps nothing between two runs")
	return s
}

func awaitRole(t *testing.T, s *Stack, node RedisNode, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, s.await(ctx, node.Name, func(context.Context) error { return role(t, node.Addr, want) }))
}

// role returns an error if the server does not have the role.
func role(t *testing.T, addr, want string) error {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer client.Close()
	answer, err := client.Do(t.Context(), "ROLE").Slice()
	if err != nil {
		return err
	}
	if is := answer[0].(string); is != want {
		return errors.New(addr + " is a " + is)
	}
	return nil
}
