package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"example.com/lockstep/deployments/local/command"
	"example.com/lockstep/deployments/local/stack"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/stackfile"
)

type up struct {
	command.StackFlags
	Workers  int    `default:"2" help:"How many workers of each app."`
	Routers  int    `default:"1" help:"How many routers of each app."`
	Dir      string `default:"${dir}" help:"Where the stack keeps its data and stack.json."`
	NATSPort int    `name:"nats-port" placeholder:"PORT" help:"Port of NATS, which must be free. Default: 4222, or any free one."`
}

// Validate is called by kong.
func (c *up) Validate() error {
	if c.NATSPort < 0 || c.NATSPort > 65535 {
		return fmt.Errorf("--nats-port=%d is no port", c.NATSPort)
	}
	return nil
}

// Run runs the stack until a signal stops it.
func (c *up) Run(e *environment) error {
	return c.run(e, func(ctx context.Context, _ *stack.Stack) error {
		<-ctx.Done()
		return nil
	})
}

// run runs the stack for as long as its use lasts, which must end with its context.
func (c *up) run(e *environment, use func(context.Context, *stack.Stack) error) error {
	l := command.NewLife(c.StopWithParent)
	defer l.Stop()
	cfg, err := c.Config(e.Environment)
	if err != nil {
		return err
	}
	cfg.Dir, cfg.Workers, cfg.Routers, cfg.NATSPort = c.Dir, c.Workers, c.Routers, c.NATSPort
	s, err := stack.New(cfg)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.Start(l.Soft); err != nil {
		// Stop what was started. The error of Start is the one to report.
		_ = s.Stop(l.Hard)
		if l.Soft.Err() != nil {
			return fmt.Errorf("stopped before the stack was ready: %w", context.Cause(l.Soft))
		}
		return err
	}
	fmt.Fprint(e.Out, c.summary(s, time.Since(began)))
	c.noteOtherTopology(l.Soft, e, s)
	stopReleasing := service.ReleaseMemory()
	err = use(l.Soft, s)
	stopReleasing()
	if l.Soft.Err() != nil {
		fmt.Fprintf(e.Out, "stopping (%v); once more stops at once\n", context.Cause(l.Soft))
	}
	if err := errors.Join(err, s.Stop(l.Hard)); err != nil {
		return err
	}
	fmt.Fprintln(e.Out, "stopped")
	return nil
}

// noteOtherTopology tells the user when --shards was ignored because the stack has a topology already.
func (c *up) noteOtherTopology(ctx context.Context, e *environment, s *stack.Stack) {
	epoch, err := s.Epoch(ctx)
	if err != nil || epoch.Shards == c.Shards {
		return
	}
	fmt.Fprintf(e.Out, "note: this stack was created with %d shards; --shards=%d is for a new stack only\n\n", epoch.Shards, c.Shards)
}

// summary tells the user where the parts of the stack are and what to try.
func (c *up) summary(s *stack.Stack, took time.Duration) string {
	var b strings.Builder
	f := s.File()
	of := ""
	if apps := f.Apps(); len(apps) > 1 {
		of = fmt.Sprintf(" of each app: %s", strings.Join(apps, ", "))
	}
	fmt.Fprintf(&b, "ready after %.1f s: an event has been applied%s\n\n", took.Seconds(), of)
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "  NATS\t%s\n  Redis\t%s (%s)\n", f.NATS, f.Redis, s.RedisKind())
	for _, p := range f.Processes {
		if p.Admin != "" {
			fmt.Fprintf(table, "  %s\thttp://%s/metrics\n", p.Name, p.Admin)
		}
		if p.HTTP != "" {
			fmt.Fprintf(table, "  %s\thttp://%s, for app %s\n", p.Name, p.HTTP, p.App)
		}
	}
	fmt.Fprintf(table, "  logs\t%s/logs\n", strings.TrimSuffix(c.Dir, "/"))
	table.Flush()
	dir := stackfile.TaskArgument(c.Dir)
	fmt.Fprintf(&b, "\ntry   go tool task load%s\n      go tool task status%s\n      nats --server %s req %s.in.event.alice '{\"amount\":5}'\n",
		dir, dir, f.NATS, f.App)
	fmt.Fprintf(&b, "stop  Ctrl-C, or go tool task down%s\n\n", dir)
	return b.String()
}
