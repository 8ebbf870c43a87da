package redisconn

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// works requires that what one address wrote is read through the other.
func works(t *testing.T, to, from string) {
	t.Helper()
	var clients []redis.UniversalClient
	for _, server := range []string{to, from} {
		reached(t, server, true)
		client, err := Connect("redis", server, slog.New(slog.DiscardHandler))
		require.NoError(t, err, server)
		defer Close(client)
		require.NoError(t, Ready(client)(t.Context()))
		clients = append(clients, client)
	}
	for i := range 50 {
		key := fmt.Sprint(t.Name(), i)
		require.NoError(t, clients[0].Set(t.Context(), key, to, 0).Err())
		require.Equal(t, to, clients[1].Get(t.Context(), key).Val())
	}
}

// reached requires that Reach comes to the same end as Connect.
func reached(t *testing.T, server string, is bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	require.Equal(t, is, Reach(ctx, server) == nil, server)
}

func refused(t *testing.T, server, want string) {
	t.Helper()
	began := time.Now()
	_, err := Connect("redis", server, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, want)
	require.ErrorContains(t, err, "--redis")
	require.NotContains(t, err.Error(), "secret")
	require.False(t, strings.Contains(err.Error(), "\n"), "%v", err)
	require.Less(t, time.Since(began), 5*time.Second)
	reached(t, server, false)
}

func TestDoors(t *testing.T) {
	var doors testkit.RedisDoors
	server := testkit.RedisProcess(t, testkit.WithDoors(t, &doors))
	works(t, "unix://"+doors.Socket, server.Addr)
	works(t, "unix://"+doors.Socket+"?db=0", "redis://"+server.Addr)
	works(t, "rediss://"+doors.TLSAddr+"?skip_verify=true", server.Addr)
	refused(t, "rediss://"+doors.TLSAddr, "certificate")
	refused(t, "redis://"+doors.TLSAddr, "cannot reach Redis at redis://127.0.0.1:")
	refused(t, "rediss://"+server.Addr+"?skip_verify=true", "cannot reach Redis at rediss://127.0.0.1:")
	refused(t, "unix://"+doors.Socket+"x", "no such file")
	refused(t, "redis://"+server.Addr+"?addr="+server.Addr, "these servers are none")
	refused(t, "redis://"+server.Addr+"?master_name=m", `cannot reach the master "m" through the Sentinels at redis://127.0.0.1:`)
}

func TestCluster(t *testing.T) {
	var doors testkit.RedisDoors
	c := testkit.StartRedisCluster(t, 3, 0)
	seed := c.Masters[1].Addr
	works(t, c.URL(), seed)
	works(t, "redis://"+seed+"/0?dial_timeout=3", "redis://"+seed+"?addr="+testkit.Refusing)
	works(t, "redis://"+testkit.Refusing+"?addr="+seed, seed)
	refused(t, "redis://"+seed+"/2", "only database 0")
	refused(t, "redis://u:secret@"+seed+"?addr="+seed, "refuses the login")
	node := testkit.RedisProcess(t, testkit.WithDoors(t, &doors), testkit.WithArgs("--cluster-enabled", "yes"))
	refused(t, "unix://"+doors.Socket, "a node of a Redis Cluster")
	node.Stop()
}

func TestSentinel(t *testing.T) {
	s := testkit.StartRedisSentinel(t, 1, 3)
	works(t, s.URL(), s.Master.Addr)
	works(t, "redis://"+testkit.Refusing+"?master_name="+testkit.SentinelName+"&addr="+s.Sentinels[2].Addr, s.Master.Addr)
	refused(t, s.Sentinels[0].Addr, "it is a Sentinel: add ?master_name=")
	refused(t, strings.Replace(s.URL(), testkit.SentinelName, "another", 1), `the Sentinels watch no master of the name "another"`)
	refused(t, strings.Replace(s.URL(), "redis://", "redis://u:secret@", 1), "refuses the login")
}
