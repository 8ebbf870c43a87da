package cli

import (
	"fmt"
	"time"

	"example.com/lockstep/deployments/local/command"
	demonstration "example.com/lockstep/deployments/local/internal/demo"
)

type parking struct {
	command.StackFlags
	Workers  int           `default:"2" help:"How many workers."`
	Routers  int           `default:"1" help:"How many routers."`
	Rate     string        `default:"5000" help:"Events per second, or max."`
	Duration time.Duration `default:"5s" help:"How long to send."`
	Keys     int           `default:"1000" help:"How many keys."`
	Poison   float64       `default:"0.01" help:"Share of the keys that get an event which the handler refuses."`
}

// Validate checks what the flags' types do not, before a stack is started.
func (c *parking) Validate() error {
	switch {
	case c.Duration < time.Second:
		return fmt.Errorf("--duration=%s: must be at least 1s", c.Duration)
	case c.Keys < 1 || !(c.Poison > 0 && c.Poison <= 1) || c.Poison*float64(c.Keys) < 1:
		return fmt.Errorf("--poison=%v of --keys=%d: must be a share above 0, and at least one key", c.Poison, c.Keys)
	}
	return command.CheckRate(c.Rate)
}

// Run returns nil only if nothing was lost, doubled or reordered, and nothing is parked in the end.
func (c *parking) Run(e *environment) error {
	l := command.NewLife(c.StopWithParent)
	defer l.Stop()
	stack, err := c.FirstApp(e.Environment)
	if err != nil {
		return err
	}
	cfg := demonstration.ParkingConfig{Poison: c.Poison, Config: demonstration.Config{
		Stack: stack, Rate: c.Rate, Duration: c.Duration, Keys: c.Keys, Distribution: "sequential", Size: 128, Out: e.Out,
	}}
	cfg.Stack.Workers, cfg.Stack.Routers = c.Workers, c.Routers
	cfg.Stack.WorkerFlags = append([]string{"--overdraft=refuse"}, cfg.Stack.WorkerFlags...)
	err = demonstration.RunParking(l.Soft, l.Hard, cfg)
	if err == demonstration.ErrVerdict { //nolint:errorlint // alone: errors joined to it must be printed
		return command.ErrSaid
	}
	return err
}
