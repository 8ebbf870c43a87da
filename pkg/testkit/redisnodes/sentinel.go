package redisnodes

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// ReplicaArgs are a redis-server's arguments that make it a replica of a master, beside --dir and what keeps its data. A master
// under Sentinel needs MasterArgs.
func (n Node) ReplicaArgs(master Node) []string {
	return append(n.MasterArgs(), "--replicaof", master.Host+" "+strconv.Itoa(master.Port))
}

// MasterArgs are a redis-server's arguments that make it a master, to begin with, under Sentinel.
func (n Node) MasterArgs() []string { return n.listen() }

// SentinelConfig is the configuration file of a Sentinel that watches a master under a name; quorum Sentinels must find it dead.
// Start it with `redis-server FILE --sentinel`. The Sentinel writes to the file and beside it.
func (n Node) SentinelConfig(name string, master Node, quorum int) string {
	return fmt.Sprintf("bind %s\nport %d\ndaemonize no\n"+
		"sentinel monitor %[3]s %[4]s %[5]d %[6]d\nsentinel down-after-milliseconds %[3]s %[7]d\nsentinel failover-timeout %[3]s %[8]d\n",
		n.Host, n.Port, name, master.Host, master.Port, quorum, NodeTimeout.Milliseconds(), 5*NodeTimeout.Milliseconds())
}

// AwaitSentinels returns when each of the Sentinels knows the others and that many replicas of the master, and the replicas have
// the master's data; else with ctx's error and the last obstacle.
func AwaitSentinels(ctx context.Context, name string, sentinels []Node, replicas int) error {
	return await(ctx, "the Redis under Sentinel", func(ctx context.Context) error {
		for _, s := range sentinels {
			if err := s.watches(ctx, name, len(sentinels)-1, replicas); err != nil {
				return fmt.Errorf("the Sentinel at %s: %w", s.Addr(), err)
			}
		}
		return nil
	})
}

func (n Node) watches(ctx context.Context, name string, others, replicas int) error {
	client := redis.NewSentinelClient(&redis.Options{Addr: n.Addr(), ContextTimeoutEnabled: true, DisableIdentity: true})
	defer func() { _ = client.Close() }()
	seen, err := client.Sentinels(ctx, name).Result()
	if err != nil {
		return err
	}
	following, err := client.Replicas(ctx, name).Result()
	if err != nil {
		return err
	}
	if len(seen) != others || len(following) != replicas {
		return fmt.Errorf("knows %d of %d other Sentinels, and %d of %d replicas", len(seen), others, len(following), replicas)
	}
	for _, r := range following {
		if err := syncedAt(ctx, net.JoinHostPort(r["ip"], r["port"])); err != nil {
			return err
		}
	}
	return client.CkQuorum(ctx, name).Err()
}

// syncedAt asks the replica itself: a Sentinel asks it every 10 s only.
func syncedAt(ctx context.Context, addr string) error {
	client := newClient(addr)
	defer func() { _ = client.Close() }()
	if err := synced(ctx, client); err != nil {
		return fmt.Errorf("%s: %w", addr, err)
	}
	return nil
}
