package consume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
	"github.com/prometheus/client_golang/prometheus"
)

// Defaults of Config.
const (
	DefaultCacheBytes      = 64 << 20
	DefaultRoundEvents     = 4096
	DefaultRoundBytes      = 1 << 20
	DefaultRoundTime       = 100 * time.Millisecond
	DefaultTopologyTimeout = 30 * time.Second
	DefaultConcurrency     = 64
	DefaultHandlerTimeout  = 30 * time.Second
	DefaultSlowTime        = time.Second
	DefaultAttempts        = 5
	DefaultRetryMin        = 100 * time.Millisecond
	DefaultRetryMax        = 10 * time.Second
	DefaultCapKeys         = 10_000
	DefaultCapEvents       = 4_000_000
	DefaultMaxGivenUp      = 64
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
	// RoundTime bounds, for each shard, the time from the start of the first attempt that is not committed until the last is
	// begun; default 100 ms. Then the attempts under way end, and a commit follows. A worker that dies repeats at most the
	// handler's effects of that time.
	RoundTime time.Duration
	// Concurrency bounds the attempts of all shards that run at a time; default 64. A key has at most one.
	Concurrency int
	// HandlerTimeout ends the context of an attempt, which has then failed; default 30 s.
	HandlerTimeout time.Duration
	// SlowTime is how long an attempt may hold up its shard's commit; default 1 s. Then its event is set aside while it runs.
	SlowTime time.Duration
	// Attempts is how often an event is tried until its key is parked; default 5.
	Attempts int
	// RetryMin and RetryMax bound the time between two attempts, which doubles from one to the next; default 100 ms and 10 s.
	RetryMin, RetryMax time.Duration
	// CapKeys and CapEvents bound the keys and events of one shard that are set aside, unless an operator raised them; default
	// 10,000 and 4,000,000. A shard at a cap takes nothing more from its log.
	CapKeys, CapEvents int
	// MaxGivenUp is how many attempts may still run although they were given up; default 64. With one more the worker ends.
	MaxGivenUp int
	Log        *slog.Logger
	Metrics    prometheus.Registerer
}

// complete fills in the defaults and returns an error for what cannot be.
func (cfg *Config) complete() error {
	cfg.CacheBytes = cmp.Or(cfg.CacheBytes, DefaultCacheBytes)
	cfg.RoundEvents = cmp.Or(cfg.RoundEvents, DefaultRoundEvents)
	cfg.RoundBytes = cmp.Or(cfg.RoundBytes, DefaultRoundBytes)
	cfg.RoundTime = cmp.Or(cfg.RoundTime, DefaultRoundTime)
	cfg.TopologyTimeout = cmp.Or(cfg.TopologyTimeout, DefaultTopologyTimeout)
	cfg.Concurrency = cmp.Or(cfg.Concurrency, DefaultConcurrency)
	cfg.HandlerTimeout = cmp.Or(cfg.HandlerTimeout, DefaultHandlerTimeout)
	cfg.SlowTime = cmp.Or(cfg.SlowTime, DefaultSlowTime)
	cfg.Attempts = cmp.Or(cfg.Attempts, DefaultAttempts)
	cfg.RetryMin = cmp.Or(cfg.RetryMin, DefaultRetryMin)
	cfg.RetryMax = cmp.Or(cfg.RetryMax, max(DefaultRetryMax, cfg.RetryMin))
	cfg.CapKeys = cmp.Or(cfg.CapKeys, DefaultCapKeys)
	cfg.CapEvents = cmp.Or(cfg.CapEvents, DefaultCapEvents)
	cfg.MaxGivenUp = cmp.Or(cfg.MaxGivenUp, DefaultMaxGivenUp)
	switch {
	case cfg.Handler == nil || cfg.Store == nil || cfg.Locker == nil || cfg.Log == nil:
		return errors.New("a worker needs a Handler, a Store, a Locker and a Log")
	case cfg.CacheBytes < 0 || cfg.RoundEvents < 1 || cfg.RoundBytes < 1 || cfg.RoundTime < 0 || cfg.TopologyTimeout < 0:
		return fmt.Errorf("worker: CacheBytes %d, RoundEvents %d, RoundBytes %d, RoundTime %s and TopologyTimeout %s must be positive",
			cfg.CacheBytes, cfg.RoundEvents, cfg.RoundBytes, cfg.RoundTime, cfg.TopologyTimeout)
	case cfg.Concurrency < 1 || cfg.HandlerTimeout < 0 || cfg.SlowTime < 0 || cfg.Attempts < 1 || cfg.MaxGivenUp < 1:
		return fmt.Errorf("worker: Concurrency %d, HandlerTimeout %s, SlowTime %s, Attempts %d and MaxGivenUp %d must be positive",
			cfg.Concurrency, cfg.HandlerTimeout, cfg.SlowTime, cfg.Attempts, cfg.MaxGivenUp)
	case cfg.RetryMin < 0 || cfg.RetryMax < cfg.RetryMin:
		return fmt.Errorf("worker: RetryMin %s must be positive, and RetryMax %s at least as long", cfg.RetryMin, cfg.RetryMax)
	case cfg.CapKeys < 1 || cfg.CapEvents < 1:
		return fmt.Errorf("worker: CapKeys %d and CapEvents %d must be positive", cfg.CapKeys, cfg.CapEvents)
	}
	return nil
}

// capsOf makes caps of raised ones: where these are lower, the configured ones stand.
func (cfg *Config) capsOf(raised topology.Caps) caps {
	c := topology.Caps{Keys: uint64(cfg.CapKeys), Events: uint64(cfg.CapEvents)}.Raised(raised)
	return caps{keys: c.Keys, events: c.Events}
}
