package worker

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/service"
	"github.com/nats-io/nats.go/jetstream"
)

const acceptGapTime = 30 * time.Second

// acceptGapCommand lets a shard go on whose log and store do not fit together.
type acceptGapCommand struct {
	service.Config  `embed:""`
	redisconn.Flags `embed:""`

	Shard int `arg:"" help:"The shard, as the worker's log names it."`
}

// Validate checks the values of the flags. Parsing calls it.
func (c *acceptGapCommand) Validate() error { return validate(&c.Config, &c.Flags) }

// Run accepts the gap and prints what that means.
func (c *acceptGapCommand) Run(ctx context.Context, parsed *kong.Context) error {
	ctx, cancel := context.WithTimeout(ctx, acceptGapTime)
	defer cancel()
	program := parsed.Model.Name
	log := service.NewLogger(program, c.Config, os.Stderr)
	nats, err := service.ConnectNATS(c.Config, program+"-accept-gap", log)
	if err != nil {
		return err
	}
	defer nats.Close()
	state, err := redisconn.Connect("redis", c.Redis, log)
	if err != nil {
		return err
	}
	defer redisconn.Close(state)
	js, err := jetstream.New(nats)
	if err != nil {
		return err
	}
	accepted, err := consume.AcceptGap(ctx, js, c.App, c.Shard, storeIn(state, c.App), log)
	if err != nil {
		return err
	}
	fmt.Println(accepted)
	return nil
}
