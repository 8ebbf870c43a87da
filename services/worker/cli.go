package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"github.com/nats-io/nats.go/jetstream"
)

const acceptGapTime = 30 * time.Second

// memoryLimit is what the Go runtime of a worker is to hold at most: by default 164 MiB, so that with the program's own pages of
// some 20 MiB the process stays under 200 MiB however many keys there are. What lives is less: the cache, which costs no more
// than it is reckoned at, and when the store stalls, with up to 16 shards, 34 MiB of feeds and as much of rounds. The rest is
// room for what is thrown away.
func memoryLimit(cacheBytes int64) int64 { return cacheBytes + cacheBytes/4 + 84<<20 }

// CLI is the worker's commands.
type CLI struct {
	Run       RunCommand       `cmd:"" default:"withargs" help:"Own shards and apply their events (the default)."`
	AcceptGap AcceptGapCommand `cmd:"" help:"Let a shard go on whose log and store do not fit together."`
}

// RunCommand is the worker's configuration.
type RunCommand struct {
	service.Config  `embed:""`
	redisconn.Flags `embed:""`

	Name            string        `help:"Name of this worker, for people. Default: the host's name."`
	TopologyTimeout time.Duration `default:"30s" help:"How long to wait for a router to create the app's topology; then the worker ends."`
	CacheBytes      service.Bytes `default:"64MiB" help:"States kept in memory, of all shards. The process holds some 120 MiB more at most."`
}

// Validate checks what the flags' types do not. Parsing calls it.
func (c *RunCommand) Validate() error {
	if c.CacheBytes < 1 {
		return fmt.Errorf("--cache-bytes=%s: must be above 0", c.CacheBytes)
	}
	if c.TopologyTimeout <= 0 {
		return fmt.Errorf("--topology-timeout=%s: must be above 0", c.TopologyTimeout)
	}
	return validate(&c.Config, &c.Flags)
}

// Run works until a signal.
func (c *RunCommand) Run(ctx context.Context) error {
	log := service.NewLogger("worker", c.Config, os.Stderr)
	service.LogConfig(log, c)
	service.LimitMemory(memoryLimit(int64(c.CacheBytes)))
	admin, err := service.NewAdmin(c.Config, log)
	if err != nil {
		return err
	}
	conns, err := connect(c.Config, "worker", c.Redis, c.LockAddresses(), log)
	if err != nil {
		return err
	}
	defer conns.close()
	locker, err := lease.New(lease.Config{App: c.App}, conns.locks...)
	if err != nil {
		return err
	}
	name := c.Name
	if name == "" {
		name, _ = os.Hostname()
	}
	worker, err := consume.New(conns.nats, consume.Config{
		App: c.App, Name: name, Handler: consume.Typed(Apply), Locker: group.Leases(locker), CacheBytes: int64(c.CacheBytes), TopologyTimeout: c.TopologyTimeout, Log: log, Metrics: admin.Registry(),
		JanitorLease: func(ctx context.Context) (*lease.Lease, error) { return locker.TryNamed(ctx, "janitor") },
		Store:        func(topology string) store.Store { return redisstore.New(conns.state, c.App, topology) },
	})
	if err != nil {
		return err
	}
	admin.Ready("nats", service.NATSReady(conns.nats))
	admin.Ready("redis", redisconn.Ready(conns.state))
	admin.Ready("worker", func(context.Context) error { return worker.Ready() })
	admin.Note("shards", worker.Stuck)
	admin.Note("pause", worker.Paused)
	// They end in the opposite order: the worker hands its shards over, in the order that its stop lists; admin answers
	// until then; the connections, which both use, close last.
	return service.Run(ctx, c.Config, log, admin, worker)
}

// AcceptGapCommand lets a shard go on whose log and store do not fit together.
type AcceptGapCommand struct {
	service.Config  `embed:""`
	redisconn.Flags `embed:""`

	Shard int `arg:"" help:"The shard, as the worker's log names it."`
}

// Validate checks what the flags' types do not. Parsing calls it.
func (c *AcceptGapCommand) Validate() error { return validate(&c.Config, &c.Flags) }

// Run accepts the gap and prints what that means.
func (c *AcceptGapCommand) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, acceptGapTime)
	defer cancel()
	log := service.NewLogger("worker", c.Config, os.Stderr)
	conns, err := connect(c.Config, "worker-accept-gap", c.Redis, nil, log)
	if err != nil {
		return err
	}
	defer conns.close()
	js, err := jetstream.New(conns.nats)
	if err != nil {
		return err
	}
	what, err := consume.AcceptGap(ctx, js, c.App, c.Shard, func(topology string) store.Store { return redisstore.New(conns.state, c.App, topology) }, log)
	if err != nil {
		return err
	}
	fmt.Println(what)
	return nil
}

func validate(nats *service.Config, redis *redisconn.Flags) error {
	if err := nats.Validate(); err != nil {
		return err
	}
	return redis.Validate()
}
