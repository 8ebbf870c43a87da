package worker

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"github.com/redis/go-redis/v9"
)

// runCommand is the worker's configuration.
type runCommand struct {
	service.Config  `embed:""`
	redisconn.Flags `embed:""`
	Rules           Rules    `embed:""`
	Handling        handling `embed:""`

	Name            string        `help:"Name of this worker, for people. Default: the host's name."`
	TopologyTimeout time.Duration `default:"30s" help:"How long to wait for a router to create the app's topology; then the worker ends."`
	CacheBytes      service.Bytes `default:"64MiB" help:"States kept in memory, of all shards. The process holds some 120 MiB more at most."`
}

// Validate checks the values of the flags. Parsing calls it.
func (c *runCommand) Validate() error {
	if c.CacheBytes < 1 {
		return fmt.Errorf("--cache-bytes=%s: must be above 0", c.CacheBytes)
	}
	if c.TopologyTimeout <= 0 {
		return fmt.Errorf("--topology-timeout=%s: must be above 0", c.TopologyTimeout)
	}
	if err := c.Handling.check(); err != nil {
		return err
	}
	if rules, ok := c.Rules.(interface{ Validate() error }); ok {
		if err := rules.Validate(); err != nil {
			return err
		}
	}
	return validate(&c.Config, &c.Flags)
}

// validate calls the methods of two embedded structs: a command that embeds both has neither's method.
func validate(nats *service.Config, redis *redisconn.Flags) error {
	if err := nats.Validate(); err != nil {
		return err
	}
	return redis.Validate()
}

// Run builds the worker from its parts and works until a signal. The parts end in the opposite order: the worker hands its
// shards over, the admin endpoint answers until then, and the connections, which both use, close last.
func (c *runCommand) Run(ctx context.Context, parsed *kong.Context) error {
	program := parsed.Model.Name
	log := service.NewLogger(program, c.Config, os.Stderr)
	service.LogConfig(log, c)
	service.LimitMemory(memoryLimit(int64(c.CacheBytes)))
	admin, err := service.NewAdmin(c.Config, log)
	if err != nil {
		return err
	}
	nats, err := service.ConnectNATS(c.Config, program, log)
	if err != nil {
		return err
	}
	defer nats.Close()
	state, err := redisconn.Connect("redis", c.Redis, log)
	if err != nil {
		return err
	}
	defer redisconn.Close(state)
	locks, err := redisconn.ConnectAll("lock-redis", c.LockAddresses(), log)
	if err != nil {
		return err
	}
	defer redisconn.Close(locks...)
	locker, err := lease.New(lease.Config{App: c.App}, locks...)
	if err != nil {
		return err
	}
	cfg := consume.Config{
		App:             c.App,
		Name:            c.name(),
		Handler:         c.Rules.Handler(),
		Store:           storeIn(state, c.App),
		Locker:          group.Leases(locker),
		JanitorLease:    func(ctx context.Context) (*lease.Lease, error) { return locker.TryNamed(ctx, "janitor") },
		CacheBytes:      int64(c.CacheBytes),
		TopologyTimeout: c.TopologyTimeout,
		Log:             log,
		Metrics:         admin.Registry(),
	}
	c.Handling.set(&cfg)
	worker, err := consume.New(nats, cfg)
	if err != nil {
		return err
	}
	admin.Ready("nats", service.NATSReady(nats))
	admin.Ready("redis", redisconn.Ready(state))
	admin.Ready("worker", func(context.Context) error { return worker.Ready() })
	admin.Note("shards", worker.Stuck)
	admin.Note("pause", worker.Paused)
	return service.Run(ctx, c.Config, log, admin, worker)
}

// name is the worker's name for people.
func (c *runCommand) name() string {
	if c.Name != "" {
		return c.Name
	}
	name, _ := os.Hostname()
	return name
}

// storeIn returns the store of any topology in a Redis.
func storeIn(state redis.UniversalClient, app string) func(topology string) store.Store {
	return func(topology string) store.Store { return redisstore.New(state, app, topology) }
}

// memoryLimit is how much the Go runtime of a worker may hold: by default 164 MiB, so that with the program's own pages of some
// 20 MiB the process stays under 200 MiB however many keys there are. What is in use is less: the cache, and when the store
// stalls, with up to 16 shards, 34 MiB of feeds and as much of rounds. The rest is room for garbage.
func memoryLimit(cacheBytes int64) int64 { return cacheBytes + cacheBytes/4 + 84<<20 }
