package worker

import (
	"fmt"
	"time"

	"example.com/lockstep/pkg/consume"
)

// handling says how the handler's attempts are made.
type handling struct {
	Concurrency    int           `default:"64" help:"Attempts that run at a time, of all shards. A key has at most one."`
	HandlerTimeout time.Duration `default:"30s" help:"How long an attempt may take; then its context ends, and it has failed."`
	SlowTime       time.Duration `default:"1s" help:"How long an attempt may hold up its shard; then its event is set aside while it runs."`
	Attempts       int           `default:"5" help:"How often an event is tried until its key is parked and waits for an operator."`
	RetryMin       time.Duration `default:"100ms" help:"Wait behind an event's first attempt; it doubles with each attempt."`
	RetryMax       time.Duration `default:"10s" help:"Longest wait between two attempts at an event."`
	CapKeys        int           `default:"10000" help:"Keys of one shard with events set aside. A shard at a cap takes nothing more from its log."`
	CapEvents      int           `default:"4000000" help:"Events of one shard that are set aside. A shard at a cap takes nothing more from its log."`
}

// check returns an error for a value that cannot be.
func (h *handling) check() error {
	for _, n := range []struct {
		flag  string
		value int
	}{{"concurrency", h.Concurrency}, {"attempts", h.Attempts}, {"cap-keys", h.CapKeys}, {"cap-events", h.CapEvents}} {
		if n.value < 1 {
			return fmt.Errorf("--%s=%d: must be above 0", n.flag, n.value)
		}
	}
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{{"handler-timeout", h.HandlerTimeout}, {"slow-time", h.SlowTime}, {"retry-min", h.RetryMin}} {
		if d.value <= 0 {
			return fmt.Errorf("--%s=%s: must be above 0", d.flag, d.value)
		}
	}
	if h.RetryMax < h.RetryMin {
		return fmt.Errorf("--retry-max=%s: must be at least --retry-min, which is %s", h.RetryMax, h.RetryMin)
	}
	return nil
}

// set sets what the worker takes from h.
func (h *handling) set(cfg *consume.Config) {
	cfg.Concurrency, cfg.HandlerTimeout, cfg.SlowTime = h.Concurrency, h.HandlerTimeout, h.SlowTime
	cfg.Attempts, cfg.RetryMin, cfg.RetryMax = h.Attempts, h.RetryMin, h.RetryMax
	cfg.CapKeys, cfg.CapEvents = h.CapKeys, h.CapEvents
}
