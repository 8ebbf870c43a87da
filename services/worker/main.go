// Command worker owns shards and applies their events to the state of their keys. Your code goes into handler.go.
package main

import (
	"os"

	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/services/worker/internal/parked"
)

// CLI is the worker's commands.
type CLI struct {
	Run       RunCommand       `cmd:"" default:"withargs" help:"Own shards and apply their events (the default)."`
	Parked    parked.Commands  `cmd:"" help:"Look at the keys whose events wait after one failed, and act on them."`
	AcceptGap AcceptGapCommand `cmd:"" help:"Let a shard go on whose log and store do not fit together."`
}

func main() {
	redisconn.SilenceLog()
	os.Exit(service.Main("worker", "Applies events to the state of their keys.", new(CLI), os.Args[1:]))
}
