// Package redisnodes makes several redis-server processes a Redis Cluster, or puts a master and its replicas under Sentinel. Its
// caller starts and stops the processes, with the arguments that this package returns. It is for tests and local stacks: the
// servers ask for no password, and they notice a dead master within seconds.
package redisnodes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// NodeTimeout is how long a node of a cluster, or a master under Sentinel, may be silent before it counts as down.
const NodeTimeout = time.Second

// poll is how often servers are asked whether they have come to what they were told.
const poll = 20 * time.Millisecond

// Node is one redis-server, by where it listens.
type Node struct {
	Host string
	Port int
	Bus  int // the port for the other nodes of its cluster
}

// Addr is host:port.
func (n Node) Addr() string { return net.JoinHostPort(n.Host, strconv.Itoa(n.Port)) }

// ClusterArgs are a redis-server's arguments that make it a node of a cluster, beside --dir and what keeps its data.
func (n Node) ClusterArgs() []string {
	return append(n.listen(), "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(n.Bus),
		"--cluster-node-timeout", strconv.FormatInt(NodeTimeout.Milliseconds(), 10))
}

// listen also makes replicas follow at once: by default a master waits for 5 s before it sends its data, and a cluster names no
// replica that has not received the first ping, which would come after 10 s.
func (n Node) listen() []string {
	return []string{
		"--bind", n.Host, "--port", strconv.Itoa(n.Port), "--daemonize", "no",
		"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
	}
}

func newClient(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, DisableIdentity: true})
}

// FormCluster makes running nodes one cluster: the slots are divided among the masters in even ranges, and replica i follows
// master i modulo their number. It returns when all nodes agree and the replicas have their data, or with ctx's error and the
// last obstacle. Nodes that were a cluster before, and were started again, are only waited for.
func FormCluster(ctx context.Context, masters, replicas []Node) error {
	c := &cluster{masters: len(masters)}
	for _, n := range append(masters[:len(masters):len(masters)], replicas...) {
		client := newClient(n.Addr())
		defer func() { _ = client.Close() }()
		c.nodes = append(c.nodes, n)
		c.clients = append(c.clients, client)
	}
	known, err := c.known(ctx)
	if err != nil {
		return fmt.Errorf("ask node %s about its cluster: %w", c.nodes[0].Addr(), err)
	}
	if known == 1 {
		if err := c.form(ctx); err != nil {
			return err
		}
	}
	return await(ctx, "the Redis Cluster", c.agrees)
}

type cluster struct {
	masters int // the first of nodes; the others are replicas
	nodes   []Node
	clients []*redis.Client
}

// known returns how many nodes the first one knows, itself included.
func (c *cluster) known(ctx context.Context) (int, error) {
	info, err := c.clients[0].ClusterInfo(ctx).Result()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(field(info, "cluster_known_nodes"))
}

func (c *cluster) form(ctx context.Context) error {
	const slots = 16384
	for i, client := range c.clients {
		// Different epochs, else nodes would have to settle a conflict first.
		if err := client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			return fmt.Errorf("number node %s: %w", c.nodes[i].Addr(), err)
		}
		if i < c.masters {
			first, next := i*slots/c.masters, (i+1)*slots/c.masters
			if err := client.ClusterAddSlotsRange(ctx, first, next-1).Err(); err != nil {
				return fmt.Errorf("give node %s the slots %d-%d: %w", c.nodes[i].Addr(), first, next-1, err)
			}
		}
		if i > 0 {
			n := c.nodes[i]
			if err := c.clients[0].Do(ctx, "CLUSTER", "MEET", n.Host, n.Port, n.Bus).Err(); err != nil {
				return fmt.Errorf("introduce node %s: %w", n.Addr(), err)
			}
		}
	}
	for i, replica := range c.clients[c.masters:] {
		if err := follow(ctx, replica, c.clients[i%c.masters]); err != nil {
			return err
		}
	}
	return nil
}

// follow makes a node a replica as soon as it has heard of its master.
func follow(ctx context.Context, replica, master *redis.Client) error {
	id, err := master.Do(ctx, "CLUSTER", "MYID").Text()
	if err != nil {
		return fmt.Errorf("ask node %s for its id: %w", master.Options().Addr, err)
	}
	return await(ctx, "replica "+replica.Options().Addr, func(ctx context.Context) error { return replica.ClusterReplicate(ctx, id).Err() })
}

// agrees returns an error while a node does not know that all slots are served and by how many nodes, or a replica has not
// received its master's data.
func (c *cluster) agrees(ctx context.Context) error {
	for i, client := range c.clients {
		at := c.nodes[i].Addr()
		info, err := client.ClusterInfo(ctx).Result()
		if err != nil {
			return fmt.Errorf("node %s: %w", at, err)
		}
		if state := field(info, "cluster_state"); state != "ok" {
			return fmt.Errorf("node %s says that the state is %q", at, state)
		}
		serving := 0
		shards, err := client.ClusterShards(ctx).Result()
		if err != nil {
			return fmt.Errorf("node %s: %w", at, err)
		}
		for _, s := range shards {
			for _, n := range s.Nodes {
				if len(s.Slots) > 0 && n.Health == "online" {
					serving++
				}
			}
		}
		if serving != len(c.nodes) {
			return fmt.Errorf("node %s knows %d of %d nodes that serve slots", at, serving, len(c.nodes))
		}
		if err := synced(ctx, client); err != nil {
			return fmt.Errorf("node %s: %w", at, err)
		}
	}
	return nil
}

// synced returns an error while a replica does not have its master's data.
func synced(ctx context.Context, client *redis.Client) error {
	info, err := client.Info(ctx, "replication").Result()
	if err == nil && field(info, "role") == "slave" && field(info, "master_link_status") != "up" {
		return errors.New("the replica has not received its master's data")
	}
	return err
}

// field returns the value of a line "name:value" of an INFO.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if is, value, _ := strings.Cut(strings.TrimSpace(line), ":"); is == name {
			return value
		}
	}
	return ""
}

// await asks until there is no obstacle. After ctx's end it returns the last obstacle.
func await(ctx context.Context, what string, obstacle func(context.Context) error) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := obstacle(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: %w", what, ctx.Err(), err)
		case <-tick.C:
		}
	}
}
