package cli

import (
	"context"
	"errors"
	"time"

	stackstatus "example.com/lockstep/deployments/local/status"
	"example.com/lockstep/pkg/stackfile"
)

type status struct {
	Dir string `default:"${dir}" help:"The stack's directory."`
}

const statusTimeout = 10 * time.Second

// Run prints shards and members.
func (c *status) Run(e *environment) error {
	f, err := stackfile.Read(c.Dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), statusTimeout)
	defer cancel()
	r, err := stackstatus.Ask(ctx, f.NATS, f.App)
	if err != nil {
		return err
	}
	if err := r.Print(e.Out); err != nil {
		return err
	}
	if len(r.Faults) > 0 {
		return errNotAllKnown
	}
	return nil
}

var errNotAllKnown = errors.New("the status is incomplete, see above")
