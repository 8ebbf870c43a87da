package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"example.com/lockstep/pkg/service"

	"example.com/lockstep/services/producer/internal/live"
	"example.com/lockstep/services/producer/internal/load"
	"example.com/lockstep/services/producer/internal/pace"
	"example.com/lockstep/services/producer/internal/pick"
	"example.com/lockstep/services/producer/internal/report"
)

type loadCommand struct {
	Target          target            `embed:""`
	Rate            pace.Rate         `default:"max" help:"Events per second, or max (the default): as fast as acknowledged." placeholder:"max|N"`
	Duration        time.Duration     `default:"10s" help:"How long to send."`
	Keys            int               `default:"10000" help:"Number of keys."`
	Distribution    pick.Distribution `default:"uniform" help:"How events spread over the keys: uniform (the default); sequential, each key in turn; zipf:S, the key of rank r in proportion to 1/r^S, S from 0.5 to 10 (of 10,000 keys under zipf:1.0, the hottest gets 10% of all events); hot:P:N, the share P of all events for N keys, above 0 and below 1." placeholder:"uniform|sequential|zipf:S|hot:P:N"`
	Size            int               `default:"128" help:"Bytes of a payload."`
	Out             string            `default:"report.json" help:"Where to write the report."`
	Receipts        string            `default:"auto" help:"Which events ask for a receipt of their commit: all, a share like 1/16, or auto: all up to 50,000 events/s, else 1/16." placeholder:"auto|all|SHARE"`
	Seed            uint64            `default:"1" help:"Decides the order of keys and the payloads."`
	DeliveryTimeout time.Duration     `default:"30s" help:"When the publisher gives an event up."`
	DrainTimeout    time.Duration     `default:"60s" help:"How long the verification waits for every shard to reach the log's end."`
	Profile         string            `help:"Directory to write CPU, allocation and mutex profiles of the producer into." placeholder:"DIR"`
}

// Validate is called by kong.
func (c *loadCommand) Validate() error {
	_, err := c.config()
	return err
}

func (c *loadCommand) config() (load.Config, error) {
	share, err := c.share()
	if err != nil {
		return load.Config{}, err
	}
	cfg := load.Config{
		App:             c.Target.App,
		Run:             load.NewRunID(),
		Rate:            c.Rate,
		Duration:        c.Duration,
		Keys:            c.Keys,
		Distribution:    c.Distribution,
		Size:            c.Size,
		Seed:            c.Seed,
		Receipts:        share,
		DeliveryTimeout: c.DeliveryTimeout,
		DrainTimeout:    c.DrainTimeout,
	}
	return cfg, cfg.Validate()
}

func (c *loadCommand) share() (pace.Share, error) {
	switch c.Receipts {
	case "auto":
		return load.AutoShare(c.Rate), nil
	case "all":
		return 1, nil
	}
	share, err := pace.ParseShare(c.Receipts)
	if err != nil {
		return 0, fmt.Errorf("receipts must be auto, all or a share: %w", err)
	}
	return share, nil
}

// Run is called by kong.
func (c *loadCommand) Run(parsed *kong.Context) error {
	if err := c.Target.resolve(parsed); err != nil {
		return err
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	out, err := report.CreateFile(c.Out)
	if err != nil {
		return err
	}
	defer out.Discard()

	finish := func() error { return nil }
	if c.Profile != "" {
		if finish, err = startProfiles(c.Profile); err != nil {
			return err
		}
	}
	r, err := c.load(cfg, parsed.Stderr)
	if err := errors.Join(err, finish()); err != nil {
		return err
	}
	if err := out.Write(r); err != nil {
		return err
	}
	if err := r.WriteTable(parsed.Stdout); err != nil {
		return err
	}
	return judge(r)
}

func (c *loadCommand) load(cfg load.Config, stderr io.Writer) (report.Report, error) {
	ctx, sending, release := interrupts()
	defer release()
	nc, err := c.Target.connect(stderr)
	if err != nil {
		return report.Report{}, err
	}
	defer nc.Close()
	sys, err := live.New(nc, cfg.App)
	if err != nil {
		return report.Report{}, err
	}
	l, err := load.New(cfg, sys, stderr)
	if err != nil {
		return report.Report{}, err
	}
	if os.Getenv("GOGC") == "" {
		// What lives is small and what is thrown away is much: collect less often.
		defer debug.SetGCPercent(debug.SetGCPercent(400))
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(memoryLimit(cfg.Keys)))
	}
	return l.Run(ctx, sending)
}

// memoryLimit is what the Go runtime of a load is to hold at most: some 65 bytes of every key live, and up to 100 MiB of
// events and receipts outstanding.
func memoryLimit(keys int) int64 { return 192<<20 + 128*int64(keys) }

// judge turns a verdict into an exit code: a run that found something wrong is
// told from one that proved nothing. The table has said why.
func judge(r report.Report) error {
	switch {
	case r.Verdict == report.Pass:
		return nil
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
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
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
