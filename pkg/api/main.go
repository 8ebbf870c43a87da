package api

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/service"
)

// Program is one HTTP front as a service.
type Program struct {
	// Name is the program's, in its help, log and connections.
	Name string
	// App is the app that it serves unless a flag names another one. Default: appname.Default.
	App string
}

type commands struct {
	Run runCommand `cmd:"" default:"withargs" help:"Serve HTTP (the default)."`
}

// runCommand is the front's configuration.
type runCommand struct {
	service.Config `embed:""`

	Listen      string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address of the HTTP front; port 0 takes a free one and logs it. The front asks no client for a password: put a proxy before it that does."`
	MaxBody     service.Bytes `default:"256KiB" help:"Largest payload of an event."`
	MaxRequests int           `default:"256" help:"Requests that are served at a time; a further one gets 503."`
	Timeout     time.Duration `default:"5s" help:"How long a router or a worker may take to answer; then the client gets 504."`
}

// Validate checks the values of the flags. Parsing calls it.
func (c *runCommand) Validate() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("--listen=%q: want HOST:PORT", c.Listen)
	}
	if c.MaxBody < 1 || c.MaxBody > MaxMaxBody {
		return fmt.Errorf("--max-body=%s: want from 1B to %s", c.MaxBody, service.Bytes(MaxMaxBody))
	}
	if c.MaxRequests < 1 {
		return fmt.Errorf("--max-requests=%d: must be above 0", c.MaxRequests)
	}
	if c.Timeout <= 0 {
		return fmt.Errorf("--timeout=%s: must be above 0", c.Timeout)
	}
	return c.Config.Validate()
}

// Run serves until a signal. The front lets its requests end before the connection to NATS closes.
func (c *runCommand) Run(ctx context.Context, parsed *kong.Context) error {
	program := parsed.Model.Name
	log := service.NewLogger(program, c.Config, os.Stderr)
	service.LogConfig(log, c)
	service.LimitMemory(3*int64(c.MaxBody)*int64(c.MaxRequests) + 64<<20)
	admin, err := service.NewAdmin(c.Config, log)
	if err != nil {
		return err
	}
	nats, err := service.ConnectNATS(c.Config, program, log)
	if err != nil {
		return err
	}
	defer nats.Close()
	front, err := New(nats, Config{
		App: c.App, Listen: c.Listen, MaxBody: int64(c.MaxBody), MaxRequests: c.MaxRequests, Timeout: c.Timeout,
		Log: log, Metrics: admin.Registry(),
	})
	if err != nil {
		return err
	}
	admin.Ready("nats", service.NATSReady(nats))
	return service.Run(ctx, c.Config, log, admin, front)
}

// Main runs the program with the process's arguments and ends the process with its exit code: 0, 1 if it failed, 2 for bad usage.
func Main(p Program) {
	os.Exit(service.Main(p.Name, "Takes events and answers questions for states over HTTP.", new(commands), os.Args[1:],
		kong.Vars{"app": cmp.Or(p.App, appname.Default)}))
}
