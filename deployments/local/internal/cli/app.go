package cli

import (
	"errors"
	"fmt"

	"example.com/lockstep/deployments/local/command"
	"example.com/lockstep/deployments/local/stack"
	"example.com/lockstep/pkg/stackfile"
)

type app struct {
	Dir      string `default:"${dir}" help:"The stack's directory."`
	Services string `type:"path" placeholder:"FILE" help:"List of the services, which says what app a stack would run first."`
}

// Run prints the name of the first app of the stack that runs in the directory, or else of one that would be started.
func (c *app) Run(e *environment) error {
	f, err := stackfile.Read(c.Dir)
	if err == nil {
		_, err = fmt.Fprintln(e.Out, f.App)
		return err
	}
	if !errors.Is(err, stackfile.ErrNoStack) {
		return err
	}
	services, err := command.Services(c.Services)
	if err != nil {
		return err
	}
	apps, err := stack.Config{Services: services}.Apps()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.Out, apps[0].Name)
	return err
}
