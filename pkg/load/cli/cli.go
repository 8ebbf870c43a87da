// Package cli is the command line of a program that loads an app: flags, signals and exit codes.
package cli

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nats.go"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/load/internal/profile"
	"example.com/lockstep/pkg/load/profiles"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/stackfile"
)

// name is the program's towards NATS.
const name = "producer"

// Exit codes of a load that ran. The others are service's: 0, 1 if it could not
// run, 2 for bad usage.
const (
	ExitUnfinished = 97 // nothing is wrong so far, but not everything is applied yet
	ExitViolated   = 98 // something was lost, doubled or reordered, or cannot be told, or the application refuses a state
	ExitCrossed    = 99 // all of that was right, but a threshold was crossed
)

// Commands are the program's: it embeds them in what it hands to service.Main, along with Variables.
type Commands struct {
	Load    loadCommand    `cmd:"" help:"Send events at a rate or as fast as they are acknowledged, then verify every key."`
	Compare compareCommand `cmd:"" help:"Print two reports side by side, and the ratio of each figure."`
	Send    sendCommand    `cmd:"" help:"Send one event and print where it was stored."`
	Part    partCommand    `cmd:"" hidden:"" help:"One of several producers of a load, which starts it."`
}

// New returns the commands of a program that loads an application.
func New(app load.Application) Commands {
	return Commands{Load: loadCommand{app: app}, Part: partCommand{app: app}}
}

// Variables are what the flags' help texts refer to.
func Variables() kong.Vars {
	return kong.Vars{"profiles": strings.Join(profile.Names(profiles.FS), ", ")}
}

// Target says which app is meant, and where it runs.
type Target struct {
	Stack string `help:"Directory of a running local stack, which says where NATS is and which apps run." placeholder:"DIR"`
	NATS  string `name:"nats" default:"nats://127.0.0.1:4222" help:"URL of NATS; by default the stack's, if one is named." placeholder:"URL"`
	App   string `default:"${app}" help:"Name of the app; by default the first of the stack, if one is named."`
}

// Validate is called by kong.
func (t *Target) Validate() error {
	c := t.config()
	return c.Validate()
}

// config is what service needs to know, which the producer has no flags for.
func (t *Target) config() service.Config {
	return service.Config{App: t.App, NATS: t.NATS, Admin: "127.0.0.1:0", StopTimeout: 1}
}

// Resolve takes from the stack, if one is named, what was not given as a flag. A program that is made for one app keeps it.
// The environment does not count: it may well mean another stack.
func (t *Target) Resolve(parsed *kong.Context) error {
	if t.Stack == "" {
		return nil
	}
	from, err := stackfile.Read(t.Stack)
	if err != nil {
		return err
	}
	given := func(flag string) bool {
		return slices.ContainsFunc(parsed.Path, func(p *kong.Path) bool { return p.Flag != nil && p.Flag.Name == flag && !p.Resolved })
	}
	if !given("nats") {
		t.NATS = from.NATS
	}
	asked := madeFor(parsed)
	if given("app") {
		asked = t.App
	}
	if t.App, err = from.Choose(asked); err != nil {
		return err
	}
	if err := t.Validate(); err != nil {
		return fmt.Errorf("the stack in %s: %w", t.Stack, err)
	}
	return nil
}

// madeFor returns the app that the program is made for, see Program.App; "" if that is any.
func madeFor(parsed *kong.Context) string {
	for _, flag := range parsed.Flags() {
		if flag.Name == "app" && flag.Default != appname.Default {
			return flag.Default
		}
	}
	return ""
}

// Connect connects to the target's NATS, and logs plain lines.
func (t *Target) Connect(stderr io.Writer) (*nats.Conn, error) {
	log := slog.New(slog.NewTextHandler(stderr, nil))
	return service.ConnectNATS(t.config(), name, log)
}
