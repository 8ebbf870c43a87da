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

// ErrNoRouter means that no router takes commands.
var ErrNoRouter = errors.New("no router is running")

// Stored is where a command lies in the log.
type Stored struct {
	Stream string `json:"stream"`
	Seq    uint64 `json:"seq"`
}

// Order sends a command through a router into the log of its key's shard. The shard's owner carries it out when it comes to it,
// and passes it over if the key's list no longer begins with the events that it names. An answer of a stream that is not the
// app's log is passed over.
func (c *Client) Order(ctx context.Context, cmd frame.Command) (Stored, error) {
	s, err := c.order(ctx, cmd)
	if err != nil {
		return Stored{}, fmt.Errorf("%s what waits of key %q: %w", cmd.Op, cmd.Key, err)
	}
	return s, nil
}

func (c *Client) order(ctx context.Context, cmd frame.Command) (Stored, error) {
	if err := cmd.Check(); err != nil {
		return Stored{}, err
	}
	inbox := c.nc.NewInbox()
	sub, err := c.nc.SubscribeSync(inbox)
	if err != nil {
		return Stored{}, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.nc.PublishRequest(topology.CommandSubject(c.app), inbox, cmd.Append(nil)); err != nil {
		return Stored{}, err
	}
	for foreign := ""; ; {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			return Stored{}, ErrNoRouter
		case errors.Is(err, context.DeadlineExceeded) && foreign != "":
			return Stored{}, fmt.Errorf("%w: only stream %s, which is not the log, has answered", ErrNoRouter, foreign)
		case errors.Is(err, context.DeadlineExceeded):
			return Stored{}, errors.New("no answer in time: the command may be stored or not")
		case err != nil:
			return Stored{}, err
		}
		stored, err := readStored(m.Data)
		if stored.Stream == "" || topology.IsLog(c.app, stored.Stream) {
			return stored, err
		}
		foreign = stored.Stream
	}
}

// readStored reads JetStream's confirmation, or a refusal in the same form.
func readStored(body []byte) (Stored, error) {
	var a struct {
		Stored
		Error *struct {
			Code        int    `json:"code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	switch err := json.Unmarshal(body, &a); {
	case err != nil:
		return Stored{}, fmt.Errorf("the router's answer is not a confirmation: %q", body[:min(len(body), 100)])
	case a.Error != nil:
		return a.Stored, fmt.Errorf("refused (%d): %s", a.Error.Code, a.Error.Description)
	case a.Stream == "" || a.Seq == 0:
		return Stored{}, fmt.Errorf("the router's answer names no stream or sequence: %q", body[:min(len(body), 100)])
	}
	return a.Stored, nil
}
