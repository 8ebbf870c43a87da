package testkit

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit/redisnodes"
	"github.com/stretchr/testify/require"
)

// formTimeout bounds how long several servers take to find one another.
const formTimeout = 60 * time.Second

// RedisCluster is a Redis Cluster of processes. Master i has the i-th part of the slots until there is a failover; replica i
// follows master i modulo their number. Once a master has been silent for a second its replica takes over, if most masters live.
type RedisCluster struct {
	Masters, Replicas []*RedisServer
}

// StartRedisCluster starts a cluster for t, and returns when all its nodes agree. If there is no redis-server, t is skipped, or
// under CI=true fails.
func StartRedisCluster(t testing.TB, masters, replicas int, opts ...RedisOption) *RedisCluster {
	t.Helper()
	c := &RedisCluster{}
	opts = append(opts, func(r *RedisServer) { r.setUp = redisnodes.Node.ClusterArgs })
	for range masters {
		c.Masters = append(c.Masters, RedisProcess(t, opts...))
	}
	for range replicas {
		c.Replicas = append(c.Replicas, RedisProcess(t, opts...))
	}
	c.Await(t)
	return c
}

// Await returns when all nodes run, agree on their slots, and the replicas have their masters' data.
func (c *RedisCluster) Await(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), formTimeout)
	defer cancel()
	require.NoError(t, redisnodes.FormCluster(ctx, nodesOf(c.Masters), nodesOf(c.Replicas)))
}

// Nodes returns all servers, masters first.
func (c *RedisCluster) Nodes() []*RedisServer {
	return append(c.Masters[:len(c.Masters):len(c.Masters)], c.Replicas...)
}

// URL names all nodes, as go-redis's ParseClusterURL reads it.
func (c *RedisCluster) URL() string { return urlOf(c.Nodes(), url.Values{}) }

// SentinelName is the name under which a RedisSentinel's master is watched.
const SentinelName = "mymaster"

// RedisSentinel is a master with replicas, and the Sentinels that watch it. Once the master has been silent for a second, and
// most Sentinels agree, a replica takes over.
type RedisSentinel struct {
	Master    *RedisServer // the first one
	Replicas  []*RedisServer
	Sentinels []*RedisServer
}

// StartRedisSentinel starts a master, replicas and Sentinels for t, and returns when the Sentinels know all of them. If there is
// no redis-server, t is skipped, or under CI=true fails.
func StartRedisSentinel(t testing.TB, replicas, sentinels int, opts ...RedisOption) *RedisSentinel {
	t.Helper()
	s := &RedisSentinel{Master: RedisProcess(t, opts...)}
	master := s.Master.node
	opts = append(opts, func(r *RedisServer) {
		r.setUp = func(n redisnodes.Node) []string { return n.ReplicaArgs(master) }
	})
	for range replicas {
		s.Replicas = append(s.Replicas, RedisProcess(t, opts...))
	}
	for range sentinels {
		s.Sentinels = append(s.Sentinels, startSentinel(t, master, sentinels/2+1))
	}
	ctx, cancel := context.WithTimeout(context.Background(), formTimeout)
	defer cancel()
	require.NoError(t, redisnodes.AwaitSentinels(ctx, SentinelName, nodesOf(s.Sentinels), replicas))
	return s
}

func startSentinel(t testing.TB, master redisnodes.Node, quorum int) *RedisServer {
	t.Helper()
	dir := t.TempDir()
	return RedisProcess(t, func(r *RedisServer) {
		r.args = nil
		r.setUp = func(n redisnodes.Node) []string {
			file := filepath.Join(dir, strconv.Itoa(n.Port)+".conf")
			if _, err := os.Stat(file); err != nil { // a Sentinel started again has noted there what it knows
				require.NoError(t, os.WriteFile(file, []byte(n.SentinelConfig(SentinelName, master, quorum)), 0o600))
			}
			return []string{file, "--sentinel"}
		}
	})
}

// URL names the Sentinels, as go-redis's ParseFailoverURL reads it.
func (s *RedisSentinel) URL() string {
	return urlOf(s.Sentinels, url.Values{"master_name": {SentinelName}})
}

func urlOf(servers []*RedisServer, query url.Values) string {
	for _, s := range servers[1:] {
		query.Add("addr", s.Addr)
	}
	u := url.URL{Scheme: "redis", Host: servers[0].Addr, RawQuery: query.Encode()}
	return u.String()
}

func nodesOf(servers []*RedisServer) (nodes []redisnodes.Node) {
	for _, s := range servers {
		nodes = append(nodes, s.node)
	}
	return nodes
}
