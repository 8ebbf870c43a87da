// Command router takes events from publishers and stores them in the logs of their keys' shards. Run as many as you like.
package main

import (
	"os"

	"example.com/lockstep/pkg/service"
)

// CLI is the router's commands.
type CLI struct {
	Run             RunCommand             `cmd:"" default:"withargs" help:"Route events (the default)."`
	RestoreTopology RestoreTopologyCommand `cmd:"" help:"Write an app's deleted topology again, from the copy at its streams."`
}

func main() {
	os.Exit(service.Main("router", "Routes events to the shards of their keys.", new(CLI), os.Args[1:]))
}
