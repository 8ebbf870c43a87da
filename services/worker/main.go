// Command worker owns shards and applies their events to the state of their keys. Your code goes into handler.go.
package main

import (
	"os"

	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/service"
)

func main() {
	redisconn.SilenceLog()
	var cli CLI
	os.Exit(service.Main("worker", "Applies events to the state of their keys.", &cli, os.Args[1:]))
}
