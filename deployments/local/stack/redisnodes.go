package stack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"slices"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/stackfile"
	"example.com/lockstep/pkg/testkit/redisnodes"
)

// How many servers hold the state with RedisCluster and with RedisSentinel. Each master has one replica.
const (
	clusterMasters  = 3
	sentinelMasters = 1
	sentinels       = 3
	sentinelQuorum  = 2
	masterName      = "local" // by which Sentinels know the master
)

// redisNodes is several redis-servers that replicate: a Redis Cluster, or a master, its replica and their Sentinels. They keep
// nothing between two runs of a stack, which has other ports each time.
type redisNodes struct {
	stack     *Stack
	masters   []*redisServer // until there is a failover
	replicas  []*redisServer
	sentinels []*redisServer // none in a cluster
}

// RedisNodes is how many redis-servers hold the state, for Config.Redis: masters and replicas, not Sentinels.
func RedisNodes(redis string) int {
	switch redis {
	case RedisCluster:
		return 2 * clusterMasters
	case RedisSentinel:
		return 2 * sentinelMasters
	}
	return 1
}

func (s *Stack) chooseRedisNodes() (redisPart, error) {
	path, err := exec.LookPath(redisProgram)
	if err != nil {
		return nil, fmt.Errorf("--redis=%s needs redis-server on PATH", s.cfg.Redis)
	}
	if err := s.dropLog("--redis=" + s.cfg.Redis + " keeps nothing between two runs"); err != nil {
		return nil, err
	}
	r := &redisNodes{stack: s}
	if err := r.make(path); err != nil {
		return nil, err
	}
	if s.cfg.Redis == RedisSentinel {
		err = r.watch(path)
	} else {
		for _, n := range r.nodes() {
			n.options = n.keeping(n.node.ClusterArgs())
		}
	}
	return r, errors.Join(err, s.dir.SetNote(s.cfg.Redis))
}

// make makes the servers of the state: redis-1 and so on, masters first.
func (r *redisNodes) make(path string) error {
	n := RedisNodes(r.stack.cfg.Redis)
	for i := range n {
		name := ServiceName(stackfile.RoleRedis, i)
		node, err := r.stack.newRedisServer(path, name, stackfile.RoleRedis, r.stack.dir.Path(stackdir.RedisDir, name))
		if err != nil {
			return err
		}
		if i < n/2 {
			r.masters = append(r.masters, node)
		} else {
			r.replicas = append(r.replicas, node)
		}
	}
	return nil
}

// watch puts the master and its replica under Sentinels.
func (r *redisNodes) watch(path string) error {
	master := r.masters[0]
	master.inFile(master.options)
	for _, replica := range r.replicas {
		replica.inFile(replica.keeping(replica.node.ReplicaArgs(master.node)))
	}
	for i := range sentinels {
		name := ServiceName(stackfile.RoleSentinel, i)
		node, err := r.stack.newRedisServer(path, name, stackfile.RoleSentinel, r.stack.dir.Path(stackdir.RedisDir, name))
		if err != nil {
			return err
		}
		node.config, node.options = node.node.SentinelConfig(masterName, master.node, sentinelQuorum), []string{"--sentinel"}
		r.sentinels = append(r.sentinels, node)
	}
	return nil
}

func (r *redisNodes) nodes() []*redisServer { return slices.Concat(r.masters, r.replicas) }
func (r *redisNodes) all() []*redisServer   { return slices.Concat(r.nodes(), r.sentinels) }

func (r *redisNodes) kind() string {
	if len(r.sentinels) > 0 {
		return "redis-servers under Sentinel"
	}
	return "a Redis Cluster"
}

// address names all nodes of the cluster, or all Sentinels, as go-redis's ParseClusterURL and ParseFailoverURL read it.
func (r *redisNodes) address() string {
	servers, query := r.nodes(), url.Values{}
	if len(r.sentinels) > 0 {
		servers = r.sentinels
		query.Set("master_name", masterName)
	}
	for _, s := range servers[1:] {
		query.Add("addr", s.address())
	}
	u := url.URL{Scheme: "redis", Host: servers[0].address(), RawQuery: query.Encode()}
	return u.String()
}

func (r *redisNodes) start(ctx context.Context) error {
	for _, s := range r.nodes() {
		if err := s.launch(ctx); err != nil {
			return err
		}
	}
	for _, s := range r.nodes() {
		if err := r.stack.await(ctx, s.name, s.answers); err != nil {
			return err
		}
	}
	for _, s := range r.sentinels {
		if err := s.start(ctx); err != nil {
			return err
		}
	}
	return r.agree(ctx)
}

// agree forms the cluster when it is new. It returns when all servers know one another and the replicas have their master's data.
func (r *redisNodes) agree(ctx context.Context) error {
	if len(r.sentinels) > 0 {
		return redisnodes.AwaitSentinels(ctx, masterName, nodesOf(r.sentinels), len(r.replicas))
	}
	return redisnodes.FormCluster(ctx, nodesOf(r.masters), nodesOf(r.replicas))
}

func nodesOf(servers []*redisServer) (nodes []redisnodes.Node) {
	for _, s := range servers {
		nodes = append(nodes, s.node)
	}
	return nodes
}

// stop kills all servers: they keep nothing. An orderly end would take seconds, for a master waits for its replica, and a replica
// that has just received its master's data ignores SIGTERM.
func (r *redisNodes) stop(context.Context) error {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	var errs []error
	for _, s := range r.all() {
		if err := s.stop(over); !errors.Is(err, process.ErrKilled) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// RedisNode is a redis-server that holds the state.
type RedisNode struct{ Name, Addr, Dir string }

// RedisNodes lists the redis-servers that the stack runs for its state, without Sentinels.
func (s *Stack) RedisNodes() (nodes []RedisNode) {
	var servers []*redisServer
	switch r := s.redis.(type) {
	case *redisServer:
		servers = append(servers, r)
	case *redisNodes:
		servers = r.nodes()
	}
	for _, r := range servers {
		nodes = append(nodes, RedisNode{Name: r.name, Addr: r.address(), Dir: r.dir})
	}
	return nodes
}

// AwaitRedis waits until the servers of a Redis Cluster, or those under Sentinel, know one another and the replicas have their
// master's data. Of a single Redis it knows nothing.
func (s *Stack) AwaitRedis(ctx context.Context) error {
	if r, ok := s.redis.(*redisNodes); ok {
		return r.agree(ctx)
	}
	return nil
}
