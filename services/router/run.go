package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"example.com/lockstep/pkg/route"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/topology"
)

// RunCommand is the router's configuration. The router that creates the topology uses the initial values. Those of a later
// router replace them while the topology is not ready, and are ignored afterwards.
type RunCommand struct {
	service.Config `embed:""`

	Shards       int           `default:"16" help:"Initial number of shards."`
	Lanes        string        `default:"auto" help:"Initial number of lanes, that is of streams; auto: one for each 16 shards."`
	Replicas     int           `default:"1" help:"Initial replicas of streams and buckets: 1, or 3 in a cluster."`
	LogBytes     service.Bytes `default:"4GiB" help:"Initial limit of all streams, in sum. A stream that has reached its share refuses publishers."`
	HistoryAge   time.Duration `default:"1h" help:"Initial age up to which committed events stay in the log, for replays."`
	HistoryBytes service.Bytes `default:"1GiB" help:"Initial size up to which committed events stay in the log, for replays."`
	MaxBytes     service.Bytes `default:"64MiB" help:"Events in this router's memory. Above it the router refuses, and publishers send again."`
}

// initial returns a new topology's values, from the flags.
func (c *RunCommand) initial() (topology.Initial, error) {
	lanes := (c.Shards + topology.ShardsPerLane - 1) / topology.ShardsPerLane
	if c.Lanes != "auto" {
		n, err := strconv.Atoi(c.Lanes)
		if err != nil || n < 1 {
			return topology.Initial{}, fmt.Errorf("--lanes=%q: want auto or a number of at least 1", c.Lanes)
		}
		lanes = n
	}
	if c.Shards < 1 {
		lanes = 1
	}
	return topology.Initial{Shards: c.Shards, Lanes: lanes, Log: topology.Log{
		Replicas: c.Replicas, MaxBytes: int64(c.LogBytes) / int64(lanes), HistoryAge: c.HistoryAge, HistoryBytes: int64(c.HistoryBytes),
	}}, nil
}

// Validate checks the values of the flags. Parsing calls it.
func (c *RunCommand) Validate() error {
	initial, err := c.initial()
	if err != nil {
		return err
	}
	if c.MaxBytes < route.MinMaxBytes {
		return fmt.Errorf("--max-bytes=%s: must be at least %s, the largest event", c.MaxBytes, service.Bytes(route.MinMaxBytes))
	}
	if c.HistoryBytes >= c.LogBytes {
		return fmt.Errorf("--history-bytes=%s: must be below --log-bytes=%s, or nothing new would fit", c.HistoryBytes, c.LogBytes)
	}
	return initial.Validate()
}

// Run builds the router from its parts and routes until a signal. The parts end in the opposite order: the router answers the
// events that it holds, the admin endpoint answers until then, and the connection, which both use, closes last.
func (c *RunCommand) Run(ctx context.Context) error {
	log := service.NewLogger("router", c.Config, os.Stderr)
	service.LogConfig(log, c)
	service.LimitMemory(2*int64(c.MaxBytes) + 64<<20)
	admin, err := service.NewAdmin(c.Config, log)
	if err != nil {
		return err
	}
	nats, err := service.ConnectNATS(c.Config, "router", log)
	if err != nil {
		return err
	}
	defer nats.Close()
	initial, err := c.initial()
	if err != nil {
		return err
	}
	router, err := route.New(nats, route.Config{
		App:      c.App,
		Initial:  initial,
		MaxBytes: int(min(int64(c.MaxBytes), math.MaxInt)),
		Log:      log,
		Metrics:  admin.Registry(),
	})
	if err != nil {
		return err
	}
	admin.Ready("nats", service.NATSReady(nats))
	admin.Ready("router", func(context.Context) error { return router.Ready() })
	return service.Run(ctx, c.Config, log, admin, router)
}
