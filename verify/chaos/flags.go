package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"example.com/lockstep/deployments/local/command"
	"example.com/lockstep/deployments/local/stack"
	"example.com/lockstep/pkg/address"
	"example.com/lockstep/verify/chaos/faults"
)

// boundsCrossed is also the producer's exit code for a threshold that was crossed.
const boundsCrossed = 99

type chaos struct {
	command.StackFlags
	Seed        *uint64       `placeholder:"N" help:"Decides the plan and the load. Default: drawn, and printed."`
	Duration    time.Duration `default:"60s" help:"How long to send; the first and last seconds have no faults."`
	Faults      string        `default:"all" placeholder:"all|NAME,..." help:"Every fault that the stack can have, or some of ${faults}."`
	For         time.Duration `placeholder:"DURATION" help:"How long a fault lasts that does not end by itself. Default: drawn for each."`
	Rate        string        `default:"2000" help:"Events per second, or max."`
	Keys        int           `default:"10000" help:"How many keys. Few keys hide wrong states: each is soon written again."`
	Workers     int           `default:"3" help:"How many workers."`
	Routers     int           `default:"2" help:"How many routers."`
	Locks       int           `default:"0" placeholder:"0|1|3" help:"How many redis-servers hold only locks; 0: the state's Redis holds them."`
	NATSServers int           `name:"nats-servers" default:"1" placeholder:"1|3" help:"How many NATS servers; 3 form a cluster with three replicas."`
	Out         string        `default:"report.json" type:"path" help:"Where to write the report; a page goes beside it, as .html." placeholder:"FILE"`
	Keep        bool          `help:"Keep the logs and the data even if the run passes."`
	Bounds      bool          `default:"true" negatable:"" help:"Exit with 99 if events wait for too long after a fault that comes alone."`

	plan faults.Plan
}

// Validate also makes the plan: flags that allow no plan are bad usage.
func (c *chaos) Validate() error {
	if err := command.CheckRate(c.Rate); err != nil {
		return err
	}
	for _, count := range []struct {
		flag string
		n    int
	}{{"keys", c.Keys}, {"workers", c.Workers}, {"routers", c.Routers}} {
		if count.n < 1 {
			return fmt.Errorf("--%s=%d: must be at least 1", count.flag, count.n)
		}
	}
	if c.For < 0 {
		return fmt.Errorf("--for=%s: must not be negative", c.For)
	}
	if !slices.Contains([]string{stack.RedisAuto, stack.RedisCluster, stack.RedisSentinel}, c.Redis) {
		return fmt.Errorf("--redis=%s: chaos breaks redis-servers of its own: give auto, cluster or sentinel", address.Mask(c.Redis))
	}
	if c.Locks != 0 && c.Locks != 1 && c.Locks != 3 {
		return fmt.Errorf("--locks=%d: must be 0, 1 or 3", c.Locks)
	}
	if c.NATSServers != 1 && c.NATSServers != 3 {
		return fmt.Errorf("--nats-servers=%d: must be 1 or 3", c.NATSServers)
	}
	shape := faults.Shape{Workers: c.Workers, Routers: c.Routers, Locks: c.Locks, NATSServers: c.NATSServers, Redis: c.Redis}
	chosen, err := faults.Parse(c.Faults, shape)
	if err != nil {
		return fmt.Errorf("--faults=%s: %w", c.Faults, err)
	}
	seed := rand.Uint64N(1_000_000)
	if c.Seed != nil {
		seed = *c.Seed
	}
	c.plan, err = faults.NewPlan(seed, c.Duration, chosen, c.For, shape)
	return err
}

// Run returns nil only if no event was lost, doubled or reordered, and every part recovered.
func (c *chaos) Run(e *command.Environment) error {
	l := command.NewLife(c.StopWithParent)
	defer l.Stop()
	stack, err := c.FirstApp(*e)
	if err != nil {
		return err
	}
	cfg := faults.Config{
		Stack: stack, Plan: c.plan, Rate: c.Rate, Keys: c.Keys, Report: c.Out, Keep: c.Keep, Bounds: c.Bounds, Out: e.Out,
	}
	cfg.Stack.Workers, cfg.Stack.Routers, cfg.Stack.LockServers, cfg.Stack.NATSServers = c.Workers, c.Routers, c.Locks, c.NATSServers
	_, err = faults.Run(l.Soft, l.Hard, cfg)
	if verdict := (*faults.VerdictError)(nil); errors.As(err, &verdict) {
		return &command.CodeError{Code: verdict.Code, Err: err}
	}
	if crossed := (*faults.BoundsError)(nil); errors.As(err, &crossed) {
		return &command.CodeError{Code: boundsCrossed, Err: err}
	}
	return err
}
