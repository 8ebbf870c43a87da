package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/lockstep/deployments/local/command"
	demonstration "example.com/lockstep/deployments/local/internal/demo"
)

type demo struct {
	command.StackFlags
	Workers      int           `default:"3" help:"How many workers."`
	Routers      int           `default:"1" help:"How many routers."`
	Break        []string      `default:"${breaks}" enum:"hang,router,worker,store,none" help:"${help_break}" placeholder:"hang|router|worker|store,..|none"`
	Rate         string        `default:"20000" help:"Events per second, or max."`
	Duration     time.Duration `default:"10s" help:"How long to send."`
	Keys         int           `default:"10000" help:"How many keys."`
	Distribution string        `default:"uniform" help:"How events spread over the keys; see docs/load.md." placeholder:"uniform|sequential|zipf:S|hot:P:N|file:PATH"`
	Size         int           `default:"128" help:"Bytes of a payload."`
}

// helpBreak is the help of --break.
const helpBreak = "What to break meanwhile, in turn: stop a router for a second (hang), kill -9 a router, kill -9 the worker with " +
	"most shards, wipe the store."

// Validate checks what the flags' types do not, before a stack is started.
func (c *demo) Validate() error {
	if c.Duration < time.Second {
		return fmt.Errorf("--duration=%s: must be at least 1s", c.Duration)
	}
	if slices.Contains(c.Break, breakNone) {
		if len(c.Break) > 1 {
			return fmt.Errorf("--break=%s: none cannot be combined", strings.Join(c.Break, ","))
		}
		c.Break = nil
	}
	return command.CheckRate(c.Rate)
}

const breakNone = "none"

// Run returns nil only if nothing was lost, doubled or reordered.
func (c *demo) Run(e *environment) error {
	l := command.NewLife(c.StopWithParent)
	defer l.Stop()
	stack, err := c.FirstApp(e.Environment)
	if err != nil {
		return err
	}
	cfg := demonstration.Config{
		Stack: stack, Break: c.Break,
		Rate: c.Rate, Duration: c.Duration, Keys: c.Keys, Distribution: c.Distribution, Size: c.Size, Out: e.Out, Owned: e.owned,
	}
	cfg.Stack.Workers, cfg.Stack.Routers = c.Workers, c.Routers
	err = demonstration.Run(l.Soft, l.Hard, cfg)
	if err == demonstration.ErrVerdict { //nolint:errorlint // alone: errors joined to it must be printed
		return command.ErrSaid
	}
	return err
}
