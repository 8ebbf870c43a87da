package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/stackfile"
)

type down struct {
	Dir     string        `default:"${dir}" help:"The stack's directory."`
	Timeout time.Duration `default:"1m" help:"How long to wait for its end."`
}

// Run stops the stack. It is no error if none is up.
func (c *down) Run(e *environment) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	pid, err := stackdir.Down(ctx, c.Dir)
	if errors.Is(err, stackfile.ErrNoStack) {
		fmt.Fprintln(e.Out, err)
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Out, "the stack in %s (pid %d) has stopped\n", c.Dir, pid)
	return nil
}

type clean struct {
	Dir string `default:"${dir}" help:"The stack's directory."`
}

// Run removes the files of a stopped stack.
func (c *clean) Run(e *environment) error {
	gone, err := stackdir.Clean(c.Dir)
	switch {
	case errors.Is(err, stackdir.ErrUp):
		return fmt.Errorf("%w: stop it first with `go tool task down%s`", err, stackfile.TaskArgument(c.Dir))
	case errors.Is(err, stackdir.ErrNothing):
		fmt.Fprintln(e.Out, err)
		return nil
	case err != nil:
		return err
	case gone:
		fmt.Fprintf(e.Out, "%s is gone\n", c.Dir)
	default:
		fmt.Fprintf(e.Out, "%s is clean; other files in it were left alone\n", c.Dir)
	}
	return nil
}
