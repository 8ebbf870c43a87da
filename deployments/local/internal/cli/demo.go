package cli

import (
	"fmt"
	"time"

	demonstration "example.com/lockstep/deployments/local/internal/demo"
)

type demo struct {
	stackFlags
	Workers      int           `default:"3" help:"How many workers."`
	Routers      int           `default:"1" help:"How many routers."`
	Kill         string        `default:"worker" enum:"worker,router,none" help:"What to kill -9 half-way: worker, router or none."`
	Rate         string        `default:"20000" help:"Events per second, or max."`
	Duration     time.Duration `default:"10s" help:"How long to send."`
	Keys         int           `default:"10000" help:"How many keys."`
	Distribution string        `default:"uniform" help:"How events spread over the keys: uniform, sequential, zipf:S, hot:P:N or file:PATH, as the producer's load says." placeholder:"uniform|sequential|zipf:S|hot:P:N|file:PATH"`
	Size         int           `default:"128" help:"Bytes of a payload."`
}

// maxRate is the producer's.
const maxRate = 100_000_000

// Validate checks what the flags' types do not, before a stack is started for it.
func (c *demo) Validate() error {
	if c.Duration < time.Second {
		return fmt.Errorf("--duration=%s: must be at least 1s", c.Duration)
	}
	return validRate(c.Rate)
}

// Run returns nil only if nothing was lost, doubled or reordered.
func (c *demo) Run(e *environment) error {
	l := newLife(c.StopWithParent)
	defer l.stop()
	cfg := demonstration.Config{
		Stack: c.config(e), Kill: c.Kill,
		Rate: c.Rate, Duration: c.Duration, Keys: c.Keys, Distribution: c.Distribution, Size: c.Size, Out: e.out, Owned: e.owned,
	}
	cfg.Stack.Workers, cfg.Stack.Routers = c.Workers, c.Routers
	err := demonstration.Run(l.soft, l.hard, cfg)
	if err == demonstration.ErrVerdict { // alone; with others they are to be told
		return errSaid
	}
	return err
}
