// Command local runs a whole Lockstep stack on this machine: NATS, Redis, routers and workers.
package main

import (
	"os"

	"example.com/lockstep/deployments/local/internal/cli"
)

func main() {
	os.Exit(cli.Run(os.Args[1:], os.Stdout, os.Stderr))
}
