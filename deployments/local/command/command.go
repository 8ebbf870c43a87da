// Package command is what the programs that run a local stack have in common: flags, output, signals and exit codes.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/alecthomas/kong"

	"example.com/lockstep/pkg/address"
	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/service"
)

// Exit codes.
const (
	ExitOK    = 0
	ExitError = 1
	ExitUsage = 2
)

// ErrSaid is for a failure that the command has printed in full already.
var ErrSaid = errors.New("failed")

// CodeError is an error with an exit code of its own.
type CodeError struct {
	Code int
	Err  error
}

func (e *CodeError) Error() string { return e.Err.Error() }

// Unwrap returns the error that has the code.
func (e *CodeError) Unwrap() error { return e.Err }

// Program is a program to be run.
type Program struct {
	Name        string
	Description string            // ${title} in it is the app's title
	Grammar     any               // its flags and commands, as kong takes them
	Vars        map[string]string // for the grammar, besides bin, the directory in which the program lies
}

// Environment is what commands use of the world outside.
type Environment struct {
	Out io.Writer
	// Probe sends an event through a stack, see stack.Config; nil means the usual one. Tests with stand-ins for the services set it.
	Probe func(ctx context.Context, natsURL, app string) error
}

// Run runs the program and returns its exit code: 0, 2 for bad usage, that of a CodeError, or 1. It hands bound to the
// command's method Run, if that takes something.
func (p Program) Run(args []string, out, errOut io.Writer, bound ...any) int {
	exited := -1
	vars := kong.Vars{"bin": ownDir(), "help_redis": helpRedis, "app": appname.Default, "env": appname.EnvPrefix}
	title := appname.Title
	describe := len(args) == 1 && args[0] == service.ConfigurationCommand
	if describe {
		vars["app"], vars["env"] = service.ConfigurationNames()
		title, vars["bin"] = vars["app"], "that of the program"
	}
	parser, err := kong.New(p.Grammar,
		kong.Name(p.Name),
		kong.Description(strings.ReplaceAll(p.Description, "${title}", title)),
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { exited = code }),
		vars.CloneWith(p.Vars),
		service.WithVersion(p.Name),
	)
	if err != nil {
		fmt.Fprintf(errOut, "%s: %v\n", p.Name, err)
		return ExitError
	}
	if describe {
		if err := service.WriteConfiguration(out, parser.Model); err != nil {
			return ExitError
		}
		return ExitOK
	}
	var command *kong.Context
	if err = service.CheckText(args, nil); err == nil {
		command, err = parser.Parse(args)
	}
	if exited >= 0 { // --help or --version
		return exited
	}
	if err != nil {
		fmt.Fprintf(errOut, "%s: %s (see %s --help)\n", p.Name, address.MaskIn(err.Error(), args), p.Name)
		return ExitUsage
	}
	err = command.Run(bound...)
	if err == nil {
		return ExitOK
	}
	if !errors.Is(err, ErrSaid) {
		fmt.Fprintf(errOut, "%s: %v\n", p.Name, err)
	}
	if coded := (*CodeError)(nil); errors.As(err, &coded) {
		return coded.Code
	}
	return ExitError
}

// ownDir is where the program lies: the other built programs lie beside it.
func ownDir() string {
	path, err := os.Executable()
	if err != nil {
		return "."
	}
	return filepath.Dir(path)
}

// maxRate is the highest rate that the producer takes, in events per second.
const maxRate = 100_000_000

// CheckRate refuses a --rate that the producer would refuse, before a stack is started for it.
func CheckRate(rate string) error {
	if n, err := strconv.ParseUint(rate, 10, 64); rate != "max" && (err != nil || n < 1 || n > maxRate) {
		return fmt.Errorf("--rate=%s: must be max or a number from 1 to %d", rate, maxRate)
	}
	return nil
}

// Lines makes a writer that several goroutines may use. It hides errors of the one below: a closed terminal is no reason
// to fail while there are children to be stopped.
func Lines(to io.Writer) io.Writer { return &lines{to: to} }

type lines struct {
	mu sync.Mutex // held during a write
	to io.Writer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.to.Write(p)
	return len(p), nil
}
