// Package stack is a whole stack on one machine: NATS in this process, or as a child if Config says so; Redis,
// and the routers, workers and APIs of one or more apps as children.
//
//   - Everything listens on loopback only.
//   - Start returns once every child is ready and an event of each app has been applied.
//   - No child outlives the process (see package process). There is a stack.json only while the stack is ready.
package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/servicefile"
	"example.com/lockstep/pkg/topology"
)

// Values of Config.NATSPort besides a port number.
const (
	PortUsual = 0  // 4222, or any free one if that is taken
	PortAny   = -1 // any free one
)

// Values of Config.Redis besides an address.
const (
	RedisAuto     = "auto"     // redis-server if it is on PATH, else RedisEmbedded
	RedisEmbedded = "embedded" // miniredis in this process; keeps nothing between runs
	RedisCluster  = "cluster"  // a Redis Cluster of three masters and three replicas; keeps nothing between runs
	RedisSentinel = "sentinel" // a master, its replica and three Sentinels; keeps nothing between runs
)

// Config says what to run.
type Config struct {
	Dir      string // the stack directory, see package stackdir
	Bin      string // directory of the built programs
	App      string // name of the first app, see Apps; default appname.Default, or the list's first
	Workers  int    // of each app, at least 1
	Routers  int    // of each app, at least 1
	Shards   int    // of each app, 1 to 4096; used only when the topology is created
	Lanes    string // a number up to Shards, or auto; used only when the topology is created
	Redis    string // RedisAuto, RedisEmbedded, RedisCluster, RedisSentinel, host:port or a redis:// URL
	NATSPort int    // PortUsual, PortAny or a port, which must then be free; a cluster takes any

	// NATSProgram is the path of the program local, whose command nats-server runs NATS as a process of its own; "" runs NATS
	// in this process.
	NATSProgram string
	NATSServers int // 1, or 3 for a cluster, of processes; default 1
	// LockServers is how many redis-servers hold the locks and nothing else: 1, 3, or 0, so that the state's Redis holds them.
	LockServers int

	// Via returns the address by which a client reaches a server that listens at address. The client is a service or a
	// server of a cluster; both are given by name. Default: that address.
	Via func(client, server, address string) (string, error)

	// Services lists what there is to run; nil for one app, whose programs are called router, worker and producer.
	Services  []servicefile.Service
	OnlyFirst bool // run the first app alone, without its APIs

	RouterFlags, WorkerFlags []string // appended to the flags of every router, and of every worker of the first app

	// ReadyTimeout bounds Start; default 30 s and a twentieth of a second for each shard of each app.
	ReadyTimeout time.Duration
	// Say prints a line for the user.
	Say func(line string)
	// Probe sends one event of an app through the stack and returns once it is applied. Default: Probe.
	Probe func(ctx context.Context, natsURL, app string) error
}

// How long a stack may take to be ready: it makes a consumer for each shard and a stream for each 16 of them.
const (
	readyTimeout  = 30 * time.Second
	readyPerShard = 50 * time.Millisecond
)

// OwnsRedis tells whether the stack starts the Redis of its state, which then holds nothing else.
func (c *Config) OwnsRedis() bool {
	return slices.Contains([]string{"", RedisAuto, RedisEmbedded, RedisCluster, RedisSentinel}, c.Redis)
}

func (c *Config) setDefaults() {
	if c.Lanes == "" {
		c.Lanes = "auto"
	}
	if c.Redis == "" {
		c.Redis = RedisAuto
	}
	if c.NATSServers == 0 {
		c.NATSServers = 1
	}
	if c.Say == nil {
		c.Say = func(string) {}
	}
	if c.Via == nil {
		c.Via = func(_, _, address string) (string, error) { return address, nil }
	}
	if c.Probe == nil {
		c.Probe = Probe
	}
}

// Check returns the error that New would return for the configuration.
func (c Config) Check() error {
	c.setDefaults()
	_, err := c.validate()
	return err
}

// validate also returns the apps to run.
func (c *Config) validate() ([]App, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	apps, err := c.Apps()
	if err != nil {
		return nil, err
	}
	for _, a := range apps {
		if err := CheckPrograms(c.Bin, slices.Concat([]string{a.Router, a.Worker}, a.APIs)...); err != nil {
			return nil, err
		}
	}
	return apps, nil
}

func (c *Config) check() error {
	if c.App != "" && !appname.Valid(c.App) {
		return fmt.Errorf("app %q: want %s", c.App, appname.Rule)
	}
	for _, count := range []struct {
		name string
		n    int
	}{{"workers", c.Workers}, {"routers", c.Routers}, {"shards", c.Shards}} {
		if count.n < 1 {
			return fmt.Errorf("%s is %d and must be at least 1", count.name, count.n)
		}
	}
	if c.Shards > topology.MaxShards {
		return fmt.Errorf("shards is %d and must be at most %d", c.Shards, topology.MaxShards)
	}
	if lanes, err := strconv.Atoi(c.Lanes); c.Lanes != "auto" && (err != nil || lanes < 1 || lanes > c.Shards) {
		return fmt.Errorf("lanes is %q and must be auto or a number from 1 to the %d shards", c.Lanes, c.Shards)
	}
	if c.NATSPort < PortAny || c.NATSPort > 65535 {
		return fmt.Errorf("NATS port %d is out of range", c.NATSPort)
	}
	if c.NATSServers != 1 && c.NATSServers != clusterSize {
		return fmt.Errorf("number of NATS servers is %d and must be 1 or %d", c.NATSServers, clusterSize)
	}
	if c.NATSServers > 1 && c.NATSProgram == "" {
		return errors.New("the NATS servers of a cluster must be processes of their own")
	}
	if c.LockServers != 0 && c.LockServers != 1 && c.LockServers != 3 {
		return fmt.Errorf("number of lock servers is %d and must be 0, 1 or 3", c.LockServers)
	}
	return nil
}

// CheckPrograms returns an error that names the first program that is missing from the directory bin.
func CheckPrograms(bin string, names ...string) error {
	for _, name := range names {
		path := filepath.Join(bin, name)
		if info, err := os.Stat(path); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return fmt.Errorf("there is no program %s: build it with `go tool task build`", path)
		}
	}
	return nil
}
