// Package parked is the worker's commands for operators: they show the keys whose events wait after one failed, and act on them.
// They ask workers and routers over NATS, and need no Redis.
package parked

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/service"
)

const (
	orderTime  = 10 * time.Second       // for a router to answer
	statusTime = 500 * time.Millisecond // for the workers' status
)

// Commands are `worker parked` and what follows.
type Commands struct {
	List   ListCommand   `cmd:"" help:"List the keys with events set aside."`
	Show   ShowCommand   `cmd:"" help:"Show a key's list: why it waits, and its first events."`
	Retry  RetryCommand  `cmd:"" help:"Apply a parked key's events, in order, up to the first that fails."`
	Drop   DropCommand   `cmd:"" help:"Drop a key's events: they are never applied."`
	Export ExportCommand `cmd:"" help:"Print a key's events, each as a line of JSON with its payload in base64."`
	Raise  RaiseCommand  `cmd:"" help:"Let a shard set aside more keys or events than its caps allow."`
}

// operator is a client for one command.
type operator struct {
	*query.Client
	program string // as the operator has called it
	close   func()
}

// connect connects to NATS.
func connect(cfg service.Config, program string) (*operator, error) {
	name := program + "-parked"
	nc, err := service.ConnectNATS(cfg, name, service.NewLogger(name, cfg, os.Stderr))
	if err != nil {
		return nil, err
	}
	return &operator{query.NewClient(nc, cfg.App), program, nc.Close}, nil
}

// waiting returns a key's list with its first events, n at most. A key without a list is an error that says so.
func (o *operator) waiting(ctx context.Context, key string, n int) (*query.List, []query.WaitingEvent, error) {
	list, events, err := o.Waiting(ctx, key, n)
	if err == nil && list == nil {
		err = o.nothing(ctx, key)
	}
	return list, events, err
}

// nothing says why a key has no list.
func (o *operator) nothing(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	states, err := o.States(ctx, []string{key})
	switch {
	case err != nil:
		return err
	case states[0].Found:
		return fmt.Errorf("key %s has no events set aside: %d are applied to it", word(key), states[0].Count)
	}
	return fmt.Errorf("key %s is not known: it has neither a state nor events set aside", word(key))
}

// order sends a command through a router into the key's log.
func (o *operator) order(ctx context.Context, op string, l query.List) (query.Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	return o.Order(ctx, command(op, l))
}

func command(op string, l query.List) frame.Command {
	return frame.Command{Op: op, Key: l.Key, First: l.First, Last: l.Last, Count: l.Count}
}

// blocked returns the shards that take nothing from their logs because they have reached a cap.
func (o *operator) blocked(ctx context.Context) (map[int]bool, error) {
	workers, err := o.Status(ctx, statusTime)
	if err != nil {
		return nil, err
	}
	out := make(map[int]bool)
	for _, w := range workers {
		for _, s := range w.Shards {
			if s.AtCap {
				out[s.Shard] = true
			}
		}
	}
	return out, nil
}

var errNothingParked = errors.New("no key is parked: there is nothing to retry")
