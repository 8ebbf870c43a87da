package query

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
)

// Lists calls take with the list of every key that has one, shard by shard, sorted by the keys' bytes. One that changes
// meanwhile may be missing.
func (c *Client) Lists(ctx context.Context, take func(List) error) error {
	req := listsRequest{}
	for shards := 1; req.Shard < shards; {
		var page listsReply
		if err := c.askOne(ctx, listsEndpoint, req, &page); err != nil {
			return fmt.Errorf("list what waits in shard %d: %w", req.Shard, err)
		}
		for _, l := range page.Lists {
			if err := take(l); err != nil {
				return err
			}
		}
		shards = page.Shards
		if req.After = page.Next; page.Next == "" {
			req.Shard++
		}
	}
	return nil
}

// Waiting returns a key's list with its first events, n of them at most, or nil if no events of the key wait.
func (c *Client) Waiting(ctx context.Context, key string, n int) (list *List, events []WaitingEvent, err error) {
	list, err = c.EachWaiting(ctx, key, func(e WaitingEvent) error {
		if len(events) == n {
			return errEnough
		}
		events = append(events, e)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return list, events, err
}

var errEnough = errors.New("enough events")

// ErrListChanged means that the first events of a list were applied or dropped while the list was read.
var ErrListChanged = errors.New("the list has changed while it was read: read it again")

// EachWaiting calls take with the events of a key's list, in order, and returns the list as it was at first, or nil if no events
// of the key wait. Events that join the list meanwhile are passed over. Its error wraps ErrListChanged, or it is take's.
func (c *Client) EachWaiting(ctx context.Context, key string, take func(WaitingEvent) error) (*List, error) {
	var list *List
	for next, end := uint64(0), uint64(0); list == nil || next < end; {
		var page eventsReply
		if err := c.askOne(ctx, eventsEndpoint, eventsRequest{Key: key, From: next}, &page); err != nil {
			return list, fmt.Errorf("read what waits of key %q: %w", key, err)
		}
		switch {
		case list == nil && page.List == nil:
			return nil, nil
		case list == nil && len(page.Events) > 0:
			list, next = page.List, page.Events[0].Index
			end = next + list.Count
		case page.List == nil || page.List.First != list.First || len(page.Events) == 0:
			return list, fmt.Errorf("read what waits of key %q: %w", key, ErrListChanged)
		}
		for _, e := range page.Events {
			if e.Index != next {
				return list, fmt.Errorf("read what waits of key %q: %w", key, ErrListChanged)
			}
			if next == end {
				break
			}
			if err := take(e); err != nil {
				return list, err
			}
			next++
		}
	}
	return list, nil
}

// askOne asks one of all workers.
func (c *Client) askOne(ctx context.Context, what string, req, into any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, 2*serveTime)
	defer cancel()
	m, err := c.request(limited, what, body)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return errors.New("workers run, and none has answered in time")
	}
	return answerIn(m, err, into)
}

// ErrNoOwner means that workers run, and none that owns the shard has answered in time.
var ErrNoOwner = errors.New("no owner of the shard has answered")

// RaiseCaps asks a shard's owner to raise the shard's caps, where by is above them, and returns those that are in force then. Its
// error wraps ErrNoWorker or ErrNoOwner.
func (c *Client) RaiseCaps(ctx context.Context, shard int, by topology.Caps) (topology.Caps, error) {
	var out raiseRequest
	if err := c.askOwner(ctx, raiseEndpoint, raiseRequest{Shard: shard, Keys: by.Keys, Events: by.Events}, &out); err != nil {
		return topology.Caps{}, fmt.Errorf("raise the caps of shard %d: %w", shard, err)
	}
	return topology.Caps{Keys: out.Keys, Events: out.Events}, nil
}

// DropAtOwner asks a shard's owner to drop events that wait: where the shard has reached a cap, a command in its log would wait
// behind what the shard does not take. Its error wraps ErrNoWorker or ErrNoOwner.
func (c *Client) DropAtOwner(ctx context.Context, cmd frame.Command) error {
	req := dropRequest{Key: cmd.Key, First: cmd.First, Last: cmd.Last, Count: cmd.Count}
	if err := c.askOwner(ctx, dropEndpoint, req, new(struct{})); err != nil {
		return fmt.Errorf("drop what waits of key %q: %w", cmd.Key, err)
	}
	return nil
}

// askOwner asks all workers and returns the first answer.
func (c *Client) askOwner(ctx context.Context, what string, req, into any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, serveTime+silence)
	defer cancel()
	m, err := c.nc.RequestWithContext(ctx, topology.ControlSubject(c.app, what), body)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) {
		return fmt.Errorf("%w: look who owns it, and in which state it is (task status), then try again", ErrNoOwner)
	}
	return answerIn(m, err, into)
}
