// Package cli is the command line of the program local: up, dev, down, clean, status, app, load, demo and profile.
package cli

import (
	"context"
	"io"
	"strings"

	"example.com/lockstep/deployments/local/command"
	demonstration "example.com/lockstep/deployments/local/internal/demo"
	"example.com/lockstep/pkg/stackfile"
)

type commands struct {
	Up      up      `cmd:"" help:"Run a stack in the foreground: NATS, Redis, routers and workers."`
	Dev     dev     `cmd:"" help:"Run a stack as up does, and build and restart each service whose sources change."`
	Down    down    `cmd:"" help:"Stop the stack of a directory and wait until it is gone."`
	Clean   clean   `cmd:"" help:"Remove what a stopped stack has stored."`
	Status  status  `cmd:"" help:"Show shards, owners, fences, positions, lag and members of an app."`
	App     app     `cmd:"" help:"Print the name of the first app of the stack in a directory, or of one that would be started there."`
	Load    load    `cmd:"" help:"Load an app of a running stack and verify every event, by the program that is for it."`
	Demo    demo    `cmd:"" help:"Load a stack, break its parts meanwhile, and verify every event."`
	Parking parking `cmd:"" name:"demo-parking" help:"Load a stack with events that its handler refuses, then mend the handler and retry them."`
	Profile profile `cmd:"" help:"Load a running stack and collect profiles of every service."`

	NATSServer command.NATSServer `cmd:"" name:"nats-server" hidden:"" help:"Run NATS as a process of its own, which can be killed."`
}

// environment is what the commands use of the world outside.
type environment struct {
	command.Environment
	// owned returns how many shards each worker owns; nil asks the stack. Tests set it.
	owned func(context.Context, stackfile.File) (map[string]int, error)
}

// Run runs the program and returns its exit code: 0, 1 for an error, 2 for bad usage.
func Run(args []string, out, errOut io.Writer) int {
	return run(args, &environment{Environment: command.Environment{Out: command.Lines(out)}}, errOut)
}

func run(args []string, e *environment, errOut io.Writer) int {
	local := command.Program{
		Name: "local", Description: "${title} as a whole stack on this machine.", Grammar: &commands{},
		Vars: map[string]string{"dir": stackfile.DefaultDir, "breaks": strings.Join(demonstration.Usual(), ","), "help_break": helpBreak},
	}
	return local.Run(args, e.Out, errOut, e)
}
