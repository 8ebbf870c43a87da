package parked

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/service"
)

// shownEvents is how many events of a key `show` prints.
const shownEvents = 10

// ListCommand is `worker parked list`.
type ListCommand struct {
	service.Config `embed:""`

	JSON bool `name:"json" help:"Print a line of JSON for each key."`
}

// Run prints a line for each key with events set aside.
func (c *ListCommand) Run(ctx context.Context, parsed *kong.Context) error {
	o, err := connect(c.Config, parsed.Model.Name)
	if err != nil {
		return err
	}
	defer o.close()
	out := bufio.NewWriter(os.Stdout)
	if c.JSON {
		lines := json.NewEncoder(out)
		err = o.Lists(ctx, func(l query.List) error { return lines.Encode(l) })
	} else {
		err = printTable(ctx, o.Client, out)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

func printTable(ctx context.Context, c *query.Client, out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	var keys, parked, waiting uint64
	err := c.Lists(ctx, func(l query.List) error {
		if keys == 0 {
			_, _ = fmt.Fprintln(table, "SHARD\tKEY\tSTATUS\tEVENTS\tBYTES\tATTEMPTS\tTRIED\tERROR")
		}
		keys, waiting = keys+1, waiting+l.Count
		if l.Status == query.StatusParked {
			parked++
		}
		_, err := fmt.Fprintf(table, "%d\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n",
			l.Shard, word(l.Key), status(l), l.Count, l.Bytes, l.Attempts, moment(l.Tried), cmp.Or(line(l.Error, maxErrorText), "-"))
		return err
	})
	if err != nil {
		return err
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if keys == 0 {
		_, err = fmt.Fprintln(out, "no events are set aside")
		return err
	}
	_, err = fmt.Fprintf(out, "%s, %d parked; %s set aside\n", count(keys, "key", "keys"), parked, events(waiting))
	return err
}

// status is a list's status, with the command that is being carried out.
func status(l query.List) string {
	if l.Order == "" {
		return l.Status
	}
	return l.Status + "," + l.Order
}

// ShowCommand is `worker parked show`.
type ShowCommand struct {
	service.Config `embed:""`

	Key string `arg:"" help:"The key."`
}

// Run prints a key's list and its first events.
func (c *ShowCommand) Run(ctx context.Context, parsed *kong.Context) error {
	o, err := connect(c.Config, parsed.Model.Name)
	if err != nil {
		return err
	}
	defer o.close()
	list, some, err := o.waiting(ctx, c.Key, shownEvents)
	if err != nil {
		return err
	}
	return o.show(os.Stdout, *list, some)
}

func (o *operator) show(out io.Writer, l query.List, some []query.WaitingEvent) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) { _, _ = fmt.Fprintf(table, "%s\t%s\n", name, value) } // Flush has the error
	row("key", word(l.Key))
	row("shard", fmt.Sprint(l.Shard))
	row("status", l.Status)
	row("events", fmt.Sprintf("%d, %d bytes", l.Count, l.Bytes))
	row("first", l.First)
	row("last", l.Last)
	row("attempts", fmt.Sprint(l.Attempts))
	row("began", moment(l.Began))
	row("tried", moment(l.Tried))
	if l.Order != "" {
		row("at work", fmt.Sprintf("%s of %s", l.Order, events(l.Ordered)))
	}
	name := "error"
	for text := range strings.Lines(l.Error) {
		row(name, printable(strings.ReplaceAll(strings.TrimRight(text, "\n"), "\t", "    ")))
		name = ""
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out)
	for _, e := range some {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", e.ID, moment(e.Time), cmp.Or(word(e.Type), "-"), payload(e.Data))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if more := l.Count - uint64(len(some)); more > 0 {
		_, err := fmt.Fprintf(out, "and %d more: %s parked export %s\n", more, o.program, service.ShellQuote(l.Key))
		return err
	}
	return nil
}

// ExportCommand is `worker parked export`.
type ExportCommand struct {
	service.Config `embed:""`

	Key string `arg:"" help:"The key."`
}

// exported is an event with its key, as a line of JSON.
type exported struct {
	Key string `json:"key"`
	query.WaitingEvent
}

// Run prints a key's events.
func (c *ExportCommand) Run(ctx context.Context, parsed *kong.Context) error {
	o, err := connect(c.Config, parsed.Model.Name)
	if err != nil {
		return err
	}
	defer o.close()
	out := bufio.NewWriter(os.Stdout)
	lines := json.NewEncoder(out)
	list, err := o.EachWaiting(ctx, c.Key, func(e query.WaitingEvent) error { return lines.Encode(exported{c.Key, e}) })
	if err == nil && list == nil {
		err = o.nothing(ctx, c.Key)
	}
	if ferr := out.Flush(); err == nil {
		err = ferr
	}
	return err
}
