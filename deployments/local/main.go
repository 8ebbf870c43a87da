// Command local runs a whole Lockstep stack on this machine: NATS, Redis, routers and workers.
package main

import (
	"os"
	"runtime"
	"strconv"

	"example.com/lockstep/deployments/local/internal/cli"
	"example.com/lockstep/pkg/service"
)

const memoryLimit = 1 << 30 // bytes; of the embedded NATS, mostly

func main() {
	service.CollectLess(memoryLimit)
	shareProcessors()
	os.Exit(cli.Run(os.Args[1:], os.Stdout, os.Stderr))
}

// shareProcessors gives each process of a stack its share of the processors, unless GOMAXPROCS says otherwise: NATS, a
// router and some workers are all busy at once. With all processors each, they spend their time waking threads for one
// another.
func shareProcessors() {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	share := max(1, runtime.GOMAXPROCS(0)/4)
	runtime.GOMAXPROCS(share)
	_ = os.Setenv("GOMAXPROCS", strconv.Itoa(share)) // fails only for a bad name; the children inherit it
}
