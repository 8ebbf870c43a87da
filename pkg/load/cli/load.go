package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nats.go"

	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/load/internal/drive"
	"example.com/lockstep/pkg/load/internal/fleet"
	"example.com/lockstep/pkg/load/internal/live"
	"example.com/lockstep/pkg/load/internal/measure"
	"example.com/lockstep/pkg/load/internal/progress"
	"example.com/lockstep/pkg/load/internal/report"
	"example.com/lockstep/pkg/load/internal/threshold"
	"example.com/lockstep/pkg/service"
)

type loadCommand struct {
	app load.Application

	Profile     profileFlag `help:"Take the flags' values from a profile, where they are not given: ${profiles}, or a file like ./mine.yaml." placeholder:"NAME|FILE"`
	loadFlags   `embed:""`
	Out         string `default:"report.json" help:"Where to write the report; the one for people goes beside it, with the extension .html." placeholder:"FILE"`
	Target      Target `embed:""`
	Annotations string `help:"File that is read when the load has ended and tells what happened to the system meanwhile: a JSON object a line, with at, until (both times, RFC 3339) and what. It is shown on the time axis of the report." placeholder:"FILE"`
	PProf       string `name:"pprof" help:"Directory to write CPU, allocation and mutex profiles of the producer into." placeholder:"DIR"`
}

// Validate is called by kong.
func (c *loadCommand) Validate() error {
	if err := c.conflict(); err != nil {
		return err
	}
	for part := range c.Producers {
		if _, err := c.config(c.Target.App, drive.NewRunID(), part); err != nil {
			return err
		}
	}
	return nil
}

// Run is called by kong.
func (c *loadCommand) Run(parsed *kong.Context) error {
	if err := c.Target.Resolve(parsed); err != nil {
		return err
	}
	out, err := report.CreateFiles(c.Out)
	if err != nil {
		return err
	}
	defer out.Discard()

	finish := func() error { return nil }
	if c.PProf != "" {
		if finish, err = startProfiles(c.PProf); err != nil {
			return err
		}
	}
	r, err := c.measure(parsed.Stderr)
	if err := errors.Join(err, finish()); err != nil {
		return err
	}
	if c.Annotations != "" {
		if err := r.Annotate(c.Annotations); err != nil {
			fmt.Fprintf(parsed.Stderr, "left out: %v\n", err) // the verdict counts for more
		}
	}
	threshold.Hold(&r, c.Threshold)
	if err := out.Write(r); err != nil {
		return err
	}
	defer fmt.Fprintf(parsed.Stderr, "the report is in %s\n", out)
	if err := r.WriteTable(parsed.Stdout); err != nil {
		return err
	}
	return judge(r)
}

// measure makes the load, or the loads of a search.
func (c *loadCommand) measure(stderr io.Writer) (report.Report, error) {
	ctx, sending, release := interrupts()
	defer release()
	view := progress.New(stderr)
	if c.FindMax > 0 {
		return c.findMax(ctx, sending, view)
	}
	return c.load(ctx, sending, view)
}

// load makes one load, by this process or by several.
func (c *loadCommand) load(ctx, sending context.Context, view progress.View) (report.Report, error) {
	run := drive.NewRunID()
	var tasks []fleet.Task
	for part := range c.Producers {
		cfg, err := c.config(c.Target.App, run, part)
		if err != nil {
			return report.Report{}, err
		}
		tasks = append(tasks, fleet.Task{NATS: c.Target.NATS, Config: cfg})
	}
	made := c.report(c.Target.App, run, string(c.Profile), 0)
	hottest := ""
	if made.Keys > 0 && c.Producers == 1 && !c.Distribution.Recorded() {
		hottest = fmt.Sprintf("; the hottest key gets %.3g%% of all events", 100*c.Distribution.Hottest(made.Keys))
	}
	begins := func() { view.Say("run " + run + ": " + made.Describe() + hottest) }

	var r *measure.Run
	var err error
	if len(tasks) == 1 {
		r, err = c.alone(ctx, sending, tasks[0].Config, begins, view)
	} else {
		r, err = fleet.Run(ctx, sending, tasks, partCommandOf, begins, view)
	}
	if err != nil {
		return report.Report{}, err
	}
	made.Shards, made.Keys = len(r.Shards), r.Keys
	return report.New(made, r), nil
}

// alone makes a load in this process. begins is called once it is prepared.
func (c *loadCommand) alone(ctx, sending context.Context, cfg drive.Config, begins func(), view progress.View) (*measure.Run, error) {
	nc, err := c.Target.Connect(progress.Writer(view))
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	l, err := prepare(nc, cfg, c.app, view)
	if err != nil {
		return nil, err
	}
	begins()
	return l.Run(ctx, sending)
}

// prepare prepares a load, and this process for it.
func prepare(nc *nats.Conn, cfg drive.Config, app load.Application, view progress.View) (*drive.Load, error) {
	sys, err := live.New(nc, cfg.App)
	if err != nil {
		return nil, err
	}
	if os.Getenv("GOGC") == "" {
		// What lives is small and what is thrown away is much: collect less often.
		debug.SetGCPercent(400)
	}
	l, err := drive.New(cfg, app, sys, view)
	if err != nil {
		return nil, err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(l.Bytes()))
	}
	return l, nil
}

// memoryLimit is what the Go runtime of a load is to hold at most: what lives as long as the load, twice, as the collector
// needs room, and up to 100 MiB of events and receipts outstanding.
func memoryLimit(lives int64) int64 { return 192<<20 + 2*lives }

// judge turns a verdict into an exit code: a run that found something wrong is
// told from one that proved nothing. The table has said why.
func judge(r report.Report) error {
	switch {
	case r.Verdict == report.Pass:
		return nil
	case r.Verdict == report.Crossed:
		return &service.ExitError{Code: ExitCrossed}
	case r.Verdict == report.Unfinished:
		return &service.ExitError{Code: ExitUnfinished}
	case r.Acked == 0 && r.Applied == 0:
		return errors.New("nothing was acknowledged, so nothing was proven")
	default:
		return &service.ExitError{Code: ExitViolated}
	}
}

// interrupts returns two contexts: the first interrupt ends sending, the second
// one ends everything.
func interrupts() (ctx, sending context.Context, release func()) {
	ctx, abort := context.WithCancel(context.Background())
	sending, stop := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, service.StopSignals()...)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, end := range []func(){stop, abort} {
			select {
			case <-signals:
				end()
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, sending, func() {
		signal.Stop(signals)
		abort()
		<-ended
	}
}
