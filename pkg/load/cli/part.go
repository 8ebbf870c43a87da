package cli

import (
	"context"
	"os"
	"os/exec"
	"time"

	"github.com/alecthomas/kong"

	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/load/internal/fleet"
	"example.com/lockstep/pkg/load/internal/measure"
	"example.com/lockstep/pkg/load/internal/progress"
	"example.com/lockstep/pkg/service"
)

// partCommand is one of several producers of a load: it is told all else by the
// process that starts it.
type partCommand struct {
	app load.Application
}

// partCommandOf starts this program as one of several producers.
func partCommandOf() *exec.Cmd {
	cmd := exec.Command(self(), "part")
	cmd.Stderr = os.Stderr
	return cmd
}

// self is this program.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// Run is called by kong.
func (c *partCommand) Run(parsed *kong.Context) error {
	ctx, sending, release := interrupts()
	defer release()
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	closeAll := func() {}
	defer func() { closeAll() }()
	err := fleet.Part(os.Stdin, parsed.Stdout, abort, func(task fleet.Task, view progress.View) (func(time.Time) (*measure.Run, error), error) {
		at := Target{NATS: task.NATS, App: task.Config.App}
		nc, err := at.Connect(parsed.Stderr)
		if err != nil {
			return nil, err
		}
		closeAll = nc.Close
		l, err := prepare(nc, task.Config, c.app, view)
		if err != nil {
			return nil, err
		}
		return func(start time.Time) (*measure.Run, error) {
			l.StartAt(start)
			return l.Run(ctx, sending)
		}, nil
	})
	if err != nil {
		return &service.ExitError{Code: service.ExitFailed} // the parent has heard why
	}
	return nil
}
