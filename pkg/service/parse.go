// Package service is the skeleton that every service shares: configuration from
// flags and environment, logging, connections, the admin endpoint, and the order of
// starting and stopping. It knows nothing of events.
//
// A service's main.go is a struct that embeds Config, a Run method that builds its
// parts and hands them to Run, and
//
//	func main() { os.Exit(service.Main("router", "Routes events to shards.", &cli{}, os.Args[1:])) }
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/lockstep/pkg/address"
	"example.com/lockstep/pkg/appname"
	"github.com/alecthomas/kong"
)

// Exit codes of Main.
const (
	ExitFailed = 1 // the command returned an error
	ExitUsage  = 2 // the flags, arguments or environment are wrong
)

// ExitError ends a program with a code. Parse returns it; a command may, too.
type ExitError struct {
	// Code is the process's exit code; 0 after --help and --version.
	Code int
	// Err is printed as one line. nil prints nothing.
	Err error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// Parse fills cli, a pointer to a kong struct, from args (without the program's name) and the environment, and calls every
// Validate method in it. Wrong usage is an *ExitError with ExitUsage; --help and --version are one with code 0, after
// the text was printed. It panics if cli itself is wrong.
func Parse(name, description string, cli any, args []string, opts ...kong.Option) (ctx *kong.Context, err error) {
	defer func() {
		if r := recover(); r != nil {
			code, isExit := r.(exitCode)
			if !isExit {
				panic(r)
			}
			err = &ExitError{Code: int(code)}
		}
	}()
	parser := kong.Must(cli, append(grammar(name, description, appname.Default, appname.EnvPrefix, opts),
		WithVersion(name), kong.Exit(func(code int) { panic(exitCode(code)) }))...)
	if err := CheckText(args, environment()); err != nil {
		return nil, &ExitError{Code: ExitUsage, Err: err}
	}
	ctx, err = parser.Parse(args)
	if err != nil {
		// The parser quotes a bad value, which may be an address.
		said := address.MaskIn(err.Error(), slices.Concat(args, environment()))
		return nil, &ExitError{Code: ExitUsage, Err: fmt.Errorf("%s (see %s --help)", said, name)}
	}
	return ctx, nil
}

// CheckText refuses arguments and variables (as NAME=value) that are not UTF-8. kong would replace bad bytes by U+FFFD, and so
// turn two keys, payloads or paths into one.
func CheckText(args, variables []string) error {
	for i, arg := range args {
		if !utf8.ValidString(arg) {
			return fmt.Errorf("argument %d is not UTF-8: %s", i+1, strconv.QuoteToASCII(address.Mask(arg)))
		}
	}
	for _, variable := range variables {
		if !utf8.ValidString(variable) {
			name, _, _ := strings.Cut(variable, "=")
			return fmt.Errorf("the environment variable %s is not UTF-8", strconv.QuoteToASCII(name))
		}
	}
	return nil
}

// environment returns the variables that stand for flags, as NAME=value.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool { return !strings.HasPrefix(entry, appname.EnvPrefix+"_") })
}

// exitCode is how kong's --help and --version leave the parser without ending the process.
type exitCode int

// Main parses args, calls the Run method of cli or of the chosen command, and returns the exit code. A Run method may take a
// context.Context (the background) and any value that the options bind. An error is one line on standard error.
func Main(name, description string, cli any, args []string, opts ...kong.Option) int {
	return run(os.Stdout, os.Stderr, name, description, cli, args, opts...)
}

func run(stdout, stderr io.Writer, name, description string, cli any, args []string, opts ...kong.Option) int {
	opts = append([]kong.Option{
		kong.Writers(stdout, stderr),
		kong.BindTo(context.Background(), (*context.Context)(nil)),
	}, opts...)
	if len(args) == 1 && args[0] == ConfigurationCommand {
		return report(stderr, name, printConfiguration(stdout, name, description, cli, opts))
	}
	ctx, err := Parse(name, description, cli, args, opts...)
	if err == nil {
		err = ctx.Run()
	}
	return report(stderr, name, err)
}

// report prints err as one line and returns its exit code.
func report(stderr io.Writer, name string, err error) int {
	if err == nil {
		return 0
	}
	code := ExitFailed
	if exit := (*ExitError)(nil); errors.As(err, &exit) {
		if exit.Err == nil {
			return exit.Code
		}
		code = exit.Code
	}
	line := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
	_, _ = fmt.Fprintf(stderr, "%s: %s\n", name, line)
	return code
}
