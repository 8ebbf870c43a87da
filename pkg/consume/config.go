package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/store"
	"github.com/prometheus/client_golang/prometheus"
)

// Defaults of Config.
const (
	DefaultCacheBytes      = 64 << 20
	DefaultRoundEvents     = 4096
	DefaultRoundBytes      = 1 << 20
	DefaultRoundTime       = 100 * time.Millisecond
	DefaultTopologyTimeout = 30 * time.Second
)

// Config is how a Worker works.
type Config struct {
	App     string
	Name    string // for people
	Handler Handler
	Store   func(topology string) store.Store // of the topology with that id
	Locker  group.Locker
	// JanitorLease takes the lease of the one worker that cleans the log; nil: this one never does.
	JanitorLease func(context.Context) (*lease.Lease, error)
	JanitorEvery time.Duration // default 5 s
	// TopologyTimeout bounds the wait for a router that creates the app's topology; default 30 s.
	TopologyTimeout time.Duration
	CacheBytes      int64 // of states of all shards; default 64 MiB
	RoundEvents     int   // taken into one commit; default 4,096. A batch is never split for it
	RoundBytes      int   // likewise; default 1 MiB
	// RoundTime bounds, for each shard, the handler's time whose outcomes are not committed; default 100 ms. After it the event
	// at hand ends, and a commit follows. A worker that dies repeats that much of its handler's effects for each shard.
	RoundTime time.Duration
	Log       *slog.Logger
	Metrics   prometheus.Registerer
}

// complete fills in the defaults and returns an error for what cannot be.
func (cfg *Config) complete() error {
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = DefaultCacheBytes
	}
	if cfg.RoundEvents == 0 {
		cfg.RoundEvents = DefaultRoundEvents
	}
	if cfg.RoundBytes == 0 {
		cfg.RoundBytes = DefaultRoundBytes
	}
	if cfg.RoundTime == 0 {
		cfg.RoundTime = DefaultRoundTime
	}
	if cfg.TopologyTimeout == 0 {
		cfg.TopologyTimeout = DefaultTopologyTimeout
	}
	switch {
	case cfg.Handler == nil || cfg.Store == nil || cfg.Locker == nil || cfg.Log == nil:
		return errors.New("a worker needs a Handler, a Store, a Locker and a Log")
	case cfg.CacheBytes < 0 || cfg.RoundEvents < 1 || cfg.RoundBytes < 1 || cfg.RoundTime < 0 || cfg.TopologyTimeout < 0:
		return fmt.Errorf("worker: CacheBytes %d, RoundEvents %d, RoundBytes %d, RoundTime %s and TopologyTimeout %s must be positive",
			cfg.CacheBytes, cfg.RoundEvents, cfg.RoundBytes, cfg.RoundTime, cfg.TopologyTimeout)
	}
	return nil
}
