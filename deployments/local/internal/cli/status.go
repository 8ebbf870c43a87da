package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	stackstatus "example.com/lockstep/deployments/local/status"
	"example.com/lockstep/pkg/stackfile"
)

type status struct {
	Dir string `default:"${dir}" help:"The stack's directory."`
	App string `placeholder:"NAME" help:"Which of the stack's apps. Default: the first one."`
}

const statusTimeout = 10 * time.Second

// Run prints shards and members.
func (c *status) Run(e *environment) error {
	f, err := stackfile.Read(c.Dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), statusTimeout)
	defer cancel()
	app, err := f.Choose(c.App)
	if err != nil {
		return err
	}
	r, err := stackstatus.Ask(ctx, f.NATS, app)
	if err != nil {
		return err
	}
	if err := r.Print(e.Out); err != nil {
		return err
	}
	c.printOthers(e.Out, f, app)
	if len(r.Faults) > 0 {
		return errNotAllKnown
	}
	return nil
}

// printOthers prints where the app's APIs are, and how to see the stack's other apps.
func (c *status) printOthers(out io.Writer, f stackfile.File, app string) {
	var apis []string
	for _, p := range f.Processes {
		if p.HTTP != "" && p.App == app {
			apis = append(apis, fmt.Sprintf("%s  http://%s", p.Name, p.HTTP))
		}
	}
	if len(apis) > 0 {
		fmt.Fprintf(out, "\n%s\n", strings.Join(apis, "\n"))
	}
	others := slices.DeleteFunc(f.Apps(), func(other string) bool { return other == app })
	for i, other := range others {
		if i == 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "app %s runs here, too: go tool task status APP=%s%s\n", other, other, stackfile.TaskArgument(c.Dir))
	}
}

var errNotAllKnown = errors.New("the status is incomplete, see above")
