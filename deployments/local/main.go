// Command local runs a whole stack on this machine: NATS, Redis, routers and workers.
package main

import (
	"os"

	"example.com/lockstep/deployments/local/command"
	"example.com/lockstep/deployments/local/internal/cli"
	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/service"
)

const memoryLimit = 1 << 30 // bytes; of the embedded NATS, mostly

func main() {
	service.LimitMemory(memoryLimit)
	command.ShareProcessors()
	redisconn.SilenceLog()
	os.Exit(cli.Run(os.Args[1:], os.Stdout, os.Stderr))
}
