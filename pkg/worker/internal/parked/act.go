package parked

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/topology"
)

// RetryCommand is `worker parked retry`.
type RetryCommand struct {
	service.Config `embed:""`

	Key string `arg:"" optional:"" help:"The key."`
	All bool   `help:"Retry every parked key."`
}

// Validate checks the arguments. Parsing calls it.
func (c *RetryCommand) Validate() error {
	if err := c.Config.Validate(); err != nil {
		return err
	}
	if (c.Key == "") != c.All {
		return errors.New("name one key, or give --all")
	}
	return nil
}

// Run sends a command for one parked key, or for each.
func (c *RetryCommand) Run(ctx context.Context, parsed *kong.Context) error {
	o, err := connect(c.Config, parsed.Model.Name)
	if err != nil {
		return err
	}
	defer o.close()
	if c.All {
		return o.retryAll(ctx)
	}
	list, _, err := o.waiting(ctx, c.Key, 0)
	if err != nil {
		return err
	}
	blocked, err := o.blocked(ctx)
	if err != nil {
		return err
	}
	if err := o.retryable(*list, blocked); err != nil {
		return err
	}
	stored, err := o.order(ctx, frame.CommandRetry, *list)
	if err != nil {
		return err
	}
	fmt.Printf("retry of %s of key %s is in the log: shard %d, stream %s, sequence %d; see %s parked show %s\n",
		events(list.Count), word(c.Key), list.Shard, stored.Stream, stored.Seq, o.program, service.ShellQuote(c.Key))
	return nil
}

// retryable returns an error if a retry of a list would do nothing.
func (o *operator) retryable(l query.List, blocked map[int]bool) error {
	switch {
	case blocked[l.Shard]:
		return fmt.Errorf("shard %d has reached a cap and takes no command from its log: %s parked raise %d, or drop keys of it first",
			l.Shard, o.program, l.Shard)
	case l.Order != "":
		return fmt.Errorf("key %s: a %s of %s is under way", word(l.Key), l.Order, events(l.Ordered))
	case l.Status != query.StatusParked:
		return fmt.Errorf("key %s is not parked: it is %s by itself, after %s", word(l.Key), l.Status, count(l.Attempts, "attempt", "attempts"))
	}
	return nil
}

// retryAll sends a command for each parked key and says how many were taken.
func (o *operator) retryAll(ctx context.Context) error {
	blocked, err := o.blocked(ctx)
	if err != nil {
		return err
	}
	var keys, waiting, failed uint64
	var first error
	err = o.Lists(ctx, func(l query.List) error {
		if l.Status != query.StatusParked || l.Order != "" {
			return nil
		}
		err := o.retryable(l, blocked)
		if err == nil {
			_, err = o.order(ctx, frame.CommandRetry, l)
		}
		switch {
		case err == nil:
			keys, waiting = keys+1, waiting+l.Count
		case errors.Is(err, query.ErrNoRouter), ctx.Err() != nil:
			return err
		default:
			if failed++; first == nil {
				first = err
			}
		}
		return nil
	})
	if keys > 0 {
		fmt.Printf("retry of %s with %s is in the log\n", count(keys, "key", "keys"), events(waiting))
	}
	switch {
	case err != nil:
		return err
	case failed > 0:
		return fmt.Errorf("no retry of %s: %w", count(failed, "key", "keys"), first)
	case keys == 0:
		return errNothingParked
	}
	return nil
}

// DropCommand is `worker parked drop`.
type DropCommand struct {
	service.Config `embed:""`

	Key string `arg:"" help:"The key."`
	Yes bool   `help:"Do not ask."`
}

// Run drops the events that wait of a key now.
func (c *DropCommand) Run(ctx context.Context, parsed *kong.Context) error {
	o, err := connect(c.Config, parsed.Model.Name)
	if err != nil {
		return err
	}
	defer o.close()
	list, _, err := o.waiting(ctx, c.Key, 0)
	if err != nil {
		return err
	}
	if !c.Yes {
		if err := confirm(*list); err != nil {
			return err
		}
	}
	blocked, err := o.blocked(ctx)
	if err != nil {
		return err
	}
	if blocked[list.Shard] {
		if err := o.DropAtOwner(ctx, command(frame.CommandDrop, *list)); err != nil {
			return err
		}
		fmt.Printf("drop of %s of key %s is under way: the owner of shard %d, whose log is blocked, has taken it\n",
			events(list.Count), word(c.Key), list.Shard)
		return nil
	}
	stored, err := o.order(ctx, frame.CommandDrop, *list)
	if err != nil {
		return err
	}
	fmt.Printf("drop of %s of key %s is in the log: shard %d, stream %s, sequence %d\n",
		events(list.Count), word(c.Key), list.Shard, stored.Stream, stored.Seq)
	return nil
}

// confirm asks on the terminal whether a list is to be dropped. It returns an error unless the answer is yes.
func confirm(l query.List) error {
	if !service.IsTerminal(os.Stdin) {
		return fmt.Errorf("%s of key %s would never be applied: give --yes, as there is no terminal to ask on", events(l.Count), word(l.Key))
	}
	fmt.Fprintf(os.Stderr, "Drop %s of key %s, %s to %s? They will never be applied. [y/N] ", events(l.Count), word(l.Key), l.First, l.Last)
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		fmt.Fprintln(os.Stderr)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was dropped")
}

// RaiseCommand is `worker parked raise`.
type RaiseCommand struct {
	service.Config `embed:""`

	Shard  int    `arg:"" help:"The shard, as the worker's log names it."`
	Keys   uint64 `help:"Keys with events set aside that the shard may have; 0: as before."`
	Events uint64 `help:"Events that the shard may set aside; 0: as before."`
}

// Validate checks the arguments. Parsing calls it.
func (c *RaiseCommand) Validate() error {
	if err := c.Config.Validate(); err != nil {
		return err
	}
	if c.Shard < 0 {
		return fmt.Errorf("shard %d: must be at least 0", c.Shard)
	}
	if c.Keys == 0 && c.Events == 0 {
		return errors.New("give --keys or --events, or both")
	}
	return nil
}

// Run asks the shard's owner to raise its caps.
func (c *RaiseCommand) Run(ctx context.Context, parsed *kong.Context) error {
	o, err := connect(c.Config, parsed.Model.Name)
	if err != nil {
		return err
	}
	defer o.close()
	caps, err := o.RaiseCaps(ctx, c.Shard, topology.Caps{Keys: c.Keys, Events: c.Events})
	if err != nil {
		return err
	}
	fmt.Printf("shard %d may set aside %s of %s now\n", c.Shard, events(caps.Events), count(caps.Keys, "key", "keys"))
	return nil
}
