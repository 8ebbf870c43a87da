package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"example.com/lockstep/deployments/local/command"
	"example.com/lockstep/deployments/local/stack"
	"example.com/lockstep/pkg/stackfile"
)

// target says which app of which stack a load is for, and where the programs are that may make it.
type target struct {
	Dir      string `default:"${dir}" help:"The stack's directory."`
	App      string `placeholder:"NAME" help:"Which of the stack's apps. Default: the first one."`
	Bin      string `default:"${bin}" type:"path" help:"Directory of the built programs."`
	Services string `type:"path" placeholder:"FILE" help:"List of the services, for the program that loads the app. Default: producer."`
}

// producer returns the path of the program that loads the app, and the stack.
func (t *target) producer() (f stackfile.File, path string, err error) {
	if f, err = stackfile.Read(t.Dir); err != nil {
		return f, "", err
	}
	app, err := f.Choose(t.App)
	if err != nil {
		return f, "", err
	}
	services, err := command.Services(t.Services)
	if err != nil {
		return f, "", err
	}
	cfg := stack.Config{App: f.App, Services: services}
	program := cfg.Producer(app)
	return f, filepath.Join(t.Bin, program), stack.CheckPrograms(t.Bin, program)
}

// flags begin the command line of that program.
func (t *target) flags() []string {
	flags := []string{"load", "--stack=" + t.Dir}
	if t.App != "" {
		flags = append(flags, "--app="+t.App)
	}
	return flags
}

type load struct {
	Target target   `embed:""`
	Flags  []string `arg:"" optional:"" passthrough:"" help:"After --: flags of the program's command load."`
}

// Run becomes the program that loads the app.
func (c *load) Run() error {
	_, producer, err := c.Target.producer()
	if err != nil {
		return err
	}
	more := c.Flags
	if len(more) > 0 && more[0] == "--" {
		more = more[1:]
	}
	args := append([]string{filepath.Base(producer)}, append(c.Target.flags(), more...)...)
	return fmt.Errorf("run %s: %w", producer, syscall.Exec(producer, args, os.Environ()))
}
