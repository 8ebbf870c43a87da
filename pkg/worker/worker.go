// Package worker is the program of a worker service but for its handler: flags, commands for operators, connections, and the
// order in which its parts start and stop. A service's main.go is
//
//	func main() { worker.Main(worker.Program{Name: "worker", Rules: new(Rules)}) }
//
// where Rules is a struct of the service's own flags, whose method returns the handler.
package worker

import (
	"cmp"
	"os"

	"github.com/alecthomas/kong"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/worker/internal/parked"
)

// Program is one worker service.
type Program struct {
	// Name is the program's, in its help, log and connections.
	Name string
	// Description is the first line of its help. Default: a general one.
	Description string
	// App is the app whose events it applies unless a flag names another one. Default: appname.Default.
	App string
	// Rules are the service's own flags and its handler.
	Rules Rules
}

// Rules is a pointer to a struct of flags, as kong takes them, which stand among the worker's. If it has a method Validate() error,
// that is called once the flags are read.
type Rules interface {
	// Handler returns what applies events, once the flags are read.
	Handler() consume.Handler
}

// commands are the program's.
type commands struct {
	Run       runCommand       `cmd:"" default:"withargs" help:"Own shards and apply their events (the default)."`
	Parked    parked.Commands  `cmd:"" help:"Look at the keys whose events wait after one failed, and act on them."`
	AcceptGap acceptGapCommand `cmd:"" help:"Let a shard go on whose log and store do not fit together."`
}

// Main runs the program with the process's arguments and ends the process with its exit code: 0, 1 if the worker failed, 2 for
// bad usage.
func Main(p Program) {
	redisconn.SilenceLog()
	cli := &commands{Run: runCommand{Rules: p.Rules}}
	description := cmp.Or(p.Description, "Applies events to the state of their keys.")
	os.Exit(service.Main(p.Name, description, cli, os.Args[1:], kong.Vars{"app": cmp.Or(p.App, appname.Default)}))
}
