// Package cli is the command line of the program local: up, down, clean, status, demo, chaos and profile.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/alecthomas/kong"

	breaking "example.com/lockstep/deployments/local/internal/chaos"
	demonstration "example.com/lockstep/deployments/local/internal/demo"
	"example.com/lockstep/pkg/address"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/stackfile"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

type commands struct {
	Up      up      `cmd:"" help:"Run a stack in the foreground: NATS, Redis, routers and workers."`
	Down    down    `cmd:"" help:"Stop the stack of a directory and wait until it is gone."`
	Clean   clean   `cmd:"" help:"Remove what a stopped stack has stored."`
	Status  status  `cmd:"" help:"Show shards, owners, fences, positions, lag and members."`
	Demo    demo    `cmd:"" help:"Load a stack, kill one of its processes half-way, and verify every event."`
	Chaos   chaos   `cmd:"" help:"Load a stack, break its parts by a plan meanwhile, and verify every event."`
	Profile profile `cmd:"" help:"Load a running stack and collect profiles of every service."`

	NATSServer natsServer `cmd:"" name:"nats-server" hidden:"" help:"NATS as a process of its own, which a chaos run can kill."`
}

// environment is what commands use of the world outside.
type environment struct {
	out io.Writer
	// For tests with stand-ins for the services; nil means the real ones.
	probe func(ctx context.Context, natsURL, app string) error
	owned func(context.Context, stackfile.File) (map[string]int, error)
}

// Run runs the program and returns its exit code: 0, 1 for an error, 2 for bad usage.
func Run(args []string, out, errOut io.Writer) int {
	return run(args, &environment{out: &lines{to: out}}, errOut)
}

func run(args []string, env *environment, errOut io.Writer) int {
	exited := -1
	parser, err := kong.New(&commands{},
		kong.Name("local"),
		kong.Description("A whole Lockstep stack on this machine."),
		kong.Writers(env.out, errOut),
		kong.Exit(func(code int) { exited = code }),
		kong.Vars{"bin": ownDir(), "dir": stackfile.DefaultDir, "faults": breaking.FaultNames(), "breaks": strings.Join(demonstration.Usual(), ",")},
	)
	if err != nil {
		fmt.Fprintln(errOut, "local:", err)
		return exitError
	}
	var command *kong.Context
	if err = service.CheckText(args, nil); err == nil {
		command, err = parser.Parse(args)
	}
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintf(errOut, "local: %s (see local --help)\n", address.MaskIn(err.Error(), args))
		return exitUsage
	}
	err = command.Run(env)
	if err == nil {
		return exitOK
	}
	if !errors.Is(err, errSaid) {
		fmt.Fprintln(errOut, "local:", err)
	}
	if coded := (*codeError)(nil); errors.As(err, &coded) {
		return coded.code
	}
	return exitError
}

// codeError is an error with an exit code of its own.
type codeError struct {
	code int
	error
}

func (e *codeError) Unwrap() error { return e.error }

// errSaid is for a failure that the command has told in full already.
var errSaid = errors.New("failed")

// ownDir is where the program lies: the other built programs lie beside it.
func ownDir() string {
	path, err := os.Executable()
	if err != nil {
		return "."
	}
	return filepath.Dir(path)
}

// lines writes from several goroutines, one call after the other. Nobody reading any more is no reason to fail: there
// are children to be stopped.
type lines struct {
	mu sync.Mutex
	to io.Writer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.to.Write(p)
	return len(p), nil
}
