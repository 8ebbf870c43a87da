package main

import (
	"context"
	"fmt"
	"os"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/store"
	"github.com/alecthomas/units"
	"github.com/redis/go-redis/v9"
)

// CLI is the worker's commands.
type CLI struct {
	Run RunCommand `cmd:"" default:"withargs" help:"Own shards and apply their events (the default)."`
}

// RunCommand is the worker's configuration.
type RunCommand struct {
	service.Config      `embed:""`
	service.RedisConfig `embed:""`

	Name       string           `help:"Name of this worker, for people. Default: the host's name."`
	CacheBytes units.Base2Bytes `default:"64MiB" help:"States kept in memory, of all shards."`
}

// Validate checks what the flags' types do not. Parsing calls it.
func (c *RunCommand) Validate() error {
	if err := c.Config.Validate(); err != nil {
		return err
	}
	if c.CacheBytes < 1 {
		return fmt.Errorf("--cache-bytes=%s: must be above 0", c.CacheBytes)
	}
	return c.RedisConfig.Validate()
}

// Run works until a signal.
func (c *RunCommand) Run(ctx context.Context) error {
	log := service.NewLogger("worker", c.Config, os.Stderr)
	service.LogConfig(log, c)
	admin, err := service.NewAdmin(c.Admin, log)
	if err != nil {
		return err
	}
	nc, err := service.ConnectNATS(c.Config, "worker", log)
	if err != nil {
		return err
	}
	defer nc.Close()
	state, err := service.ConnectRedis(c.Redis)
	if err != nil {
		return err
	}
	defer func() { _ = state.Close() }()
	var locks []redis.UniversalClient
	for _, address := range c.LockAddresses() {
		lock, err := service.ConnectRedis(address)
		if err != nil {
			return err
		}
		defer func() { _ = lock.Close() }()
		locks = append(locks, lock)
	}
	locker, err := lease.New(lease.Config{App: c.App}, locks...)
	if err != nil {
		return err
	}
	name := c.Name
	if name == "" {
		name, _ = os.Hostname()
	}
	worker, err := consume.New(nc, consume.Config{
		App: c.App, Name: name, Handler: consume.Typed(Apply), Locker: group.Real(locker), CacheBytes: int64(c.CacheBytes), Log: log, Metrics: admin.Registry(),
		Store: func(topology string) store.Store { return store.NewRedis(state, c.App, topology) },
	})
	if err != nil {
		return err
	}
	admin.Ready("nats", service.NATSReady(nc))
	admin.Ready("redis", service.RedisReady(state))
	admin.Ready("worker", func(context.Context) error { return worker.Ready() })
	return service.Run(ctx, c.Config, log, admin, worker)
}
