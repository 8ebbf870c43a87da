// Command chaos runs a local stack whose parts break by a plan while a verified load goes through it.
package main

import (
	"io"
	"os"

	"example.com/lockstep/deployments/local/command"
	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/verify/chaos/faults"
)

const memoryLimit = 1 << 30 // bytes

func main() {
	service.LimitMemory(memoryLimit)
	command.ShareProcessors()
	redisconn.SilenceLog()
	os.Exit(run(os.Args[1:], &command.Environment{Out: command.Lines(os.Stdout)}, os.Stderr))
}

// run returns the exit code: 0 if no event was lost, doubled or reordered and every part recovered, 1 for an error, 2 for
// bad usage, 99 if events waited for too long, else the producer's.
func run(args []string, e *command.Environment, errOut io.Writer) int {
	program := command.Program{
		Name: "chaos", Description: "Load a stack, break its parts by a plan meanwhile, and verify every event.", Grammar: &chaos{},
		Vars: map[string]string{"faults": faults.Names()},
	}
	return program.Run(args, e.Out, errOut, e)
}
