package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/jetstream"
)

const restoreTime = 30 * time.Second

// RestoreTopologyCommand restores the topology from the copy at its streams.
type RestoreTopologyCommand struct {
	service.Config `embed:""`
}

// Run writes the topology's entry again.
func (c *RestoreTopologyCommand) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	log := service.NewLogger("router-restore-topology", c.Config, os.Stderr)
	nc, err := service.ConnectNATS(c.Config, "router-restore-topology", log)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	t, err := topology.Restore(ctx, js, c.App, log)
	if err != nil {
		return err
	}
	e := t.Current()
	fmt.Printf("topology %s of app %s is restored: epoch %d, %d shards, %d lanes; routers and workers can be started\n",
		t.ID, c.App, e.Epoch, e.Shards, e.Lanes)
	return nil
}
