package cli

import (
	"cmp"
	"os"

	"github.com/alecthomas/kong"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/service"
)

// Program is one producer service.
type Program struct {
	// Name is the program's, in its help and messages.
	Name string
	// App is the app that it loads unless a flag names another one. Default: that of the local stack that a flag names, else
	// appname.Default.
	App string
	// Application is what its events look like.
	Application load.Application
}

// Main runs the program with the process's arguments and ends the process with its exit code: one of service's, or of those above.
func Main(p Program) {
	commands := New(p.Application)
	const description = "Loads an app and verifies what came of it."
	os.Exit(service.Main(p.Name, description, &commands, os.Args[1:], Variables(), kong.Vars{"app": cmp.Or(p.App, appname.Default)}))
}
