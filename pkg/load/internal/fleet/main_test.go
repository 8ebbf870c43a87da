package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/lockstep/pkg/load/internal/drive"
	"example.com/lockstep/pkg/load/internal/measure"
	"example.com/lockstep/pkg/load/internal/progress"
)

// partOf is set in the environment of a test binary that is to be a part.
const partOf = "FLEET_TEST_PART"

func TestMain(m *testing.M) {
	if os.Getenv(partOf) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	ctx, interrupted := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer interrupted()
	gone, abort := context.WithCancel(context.Background())
	err := Part(os.Stdin, os.Stdout, abort, func(task Task, view progress.View) (func(time.Time) (*measure.Run, error), error) {
		return play(ctx, gone, task.Config, view)
	})
	if err != nil {
		os.Exit(1)
	}
}

// play does what a part's run is named after.
func play(interrupted, gone context.Context, cfg drive.Config, view progress.View) (func(time.Time) (*measure.Run, error), error) {
	if cfg.Run == "cannot prepare" {
		return nil, errors.New("no such system")
	}
	return func(start time.Time) (*measure.Run, error) {
		view.Say("started")
		view.Say(fmt.Sprintf("part %d", cfg.Part))
		view.Show(progress.Snapshot{Elapsed: time.Second, Sent: 10})
		switch cfg.Run {
		case "cannot run":
			return nil, errors.New("no router")
		case "dies":
			os.Exit(3)
		case "waits":
			<-interrupted.Done()
		case "waits for its parent's end":
			<-gone.Done()
			_ = os.WriteFile(cfg.App, nil, 0o600) // App is a path, for this test
			return nil, errors.New("gone")
		}
		r := measure.New()
		r.Start, r.Sent, r.Interrupted = start, 10, interrupted.Err() != nil
		r.Apply.Record(time.Duration(cfg.Part+1) * time.Second)
		r.AppliedOver.At(0).Wait(time.Second)
		r.Shards = []measure.Shard{{Keys: 1, Events: 10}}
		r.Violations = []string{fmt.Sprintf("of part %d", cfg.Part)}
		return r, nil
	}, nil
}
