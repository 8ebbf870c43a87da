package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"example.com/lockstep/pkg/send"
)

type sendCommand struct {
	Target  Target        `embed:""`
	Timeout time.Duration `default:"5s" help:"How long to wait for the answer."`
	Key     string        `arg:"" help:"The event's key, 1 to 512 bytes."`
	Data    string        `arg:"" help:"The event's payload, for example '{\"amount\":5}'. One that begins with a dash goes after --."`
}

// Validate is called by kong.
func (c *sendCommand) Validate() error {
	if c.Timeout <= 0 {
		return errors.New("timeout must be more than 0")
	}
	if c.Key == "" && c.Data == "" {
		return errors.New("expected KEY and DATA, as in: send alice '{\"amount\":5}'")
	}
	return c.event().Check()
}

func (c *sendCommand) event() send.Event { return send.Event{Key: c.Key, Data: []byte(c.Data)} }

// Run is called by kong.
func (c *sendCommand) Run(parsed *kong.Context) error {
	if err := c.Target.Resolve(parsed); err != nil {
		return err
	}
	nc, err := c.Target.Connect(parsed.Stderr)
	if err != nil {
		return err
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	stored, err := send.Send(ctx, nc, c.Target.App, c.event())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(parsed.Stdout, stored)
	return err
}
