// Command router takes events from publishers and stores them in the logs of their keys' shards. Run as many as you like.
package main

import (
	"os"

	"example.com/lockstep/pkg/service"
)

func main() {
	var cli CLI
	os.Exit(service.Main("router", "Routes events to the shards of their keys.", &cli, os.Args[1:]))
}
