package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"example.com/lockstep/pkg/load/cli"

	"example.com/lockstep/services/producer/internal/send"
)

const (
	name        = "producer"
	description = "Loads an app and verifies what came of it."
)

// program is all the producer can be told.
type program struct {
	cli.Commands `embed:""`
	Send         sendCommand `cmd:"" help:"Send one event and print where it was stored."`
}

func newProgram() *program { return &program{Commands: cli.New(application())} }

type sendCommand struct {
	Target  cli.Target    `embed:""`
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
	return send.Check(c.Key, []byte(c.Data))
}

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
	stored, err := send.Send(ctx, nc, c.Target.App, c.Key, []byte(c.Data))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(parsed.Stdout, stored)
	return err
}
