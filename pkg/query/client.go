package query

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// ErrNoWorker means that no worker answers queries.
var ErrNoWorker = errors.New("no worker is running")

var errTooLarge = errors.New("query or answer is too large for one message")

// Client queries workers.
type Client struct {
	nc  *nats.Conn
	app string
}

// NewClient makes a Client of an app.
func NewClient(nc *nats.Conn, app string) *Client { return &Client{nc: nc, app: app} }

// States returns the stored states of up to 1,000 keys, in their order.
func (c *Client) States(ctx context.Context, keys []string) ([]State, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	out, err := c.ask(ctx, request{Keys: keys})
	if errors.Is(err, errTooLarge) && len(keys) > 1 {
		half := len(keys) / 2
		a, err := c.States(ctx, keys[:half])
		if err != nil {
			return nil, err
		}
		b, err := c.States(ctx, keys[half:])
		return append(a, b...), err
	}
	if err == nil && len(out.States) != len(keys) {
		err = fmt.Errorf("asked for %d keys, the answer has %d", len(keys), len(out.States))
	}
	if err != nil {
		return nil, fmt.Errorf("query states: %w", err)
	}
	return out.States, nil
}

// Positions returns the committed position of every shard, in their order.
func (c *Client) Positions(ctx context.Context) ([]Position, error) {
	out, err := c.ask(ctx, request{Positions: true})
	if err != nil {
		return nil, fmt.Errorf("query positions: %w", err)
	}
	return out.Positions, nil
}

func (c *Client) ask(ctx context.Context, req request) (reply, error) {
	b, err := json.Marshal(req)
	if err != nil {
		return reply{}, err
	}
	var out reply
	m, err := c.request(ctx, "query", b)
	if err = answerIn(m, err, &out); err != nil {
		return reply{}, err
	}
	return out, nil
}

// answerIn reads an answer, given the error of the request for it.
func answerIn(m *nats.Msg, err error, into any) error {
	if errors.Is(err, nats.ErrNoResponders) {
		return ErrNoWorker
	}
	if errors.Is(err, nats.ErrMaxPayload) { // the keys alone
		return errTooLarge
	}
	if err != nil {
		return err
	}
	if code := m.Header.Get(micro.ErrorCodeHeader); code == codeTooLarge {
		return errTooLarge
	} else if code != "" {
		return errors.New(m.Header.Get(micro.ErrorHeader))
	}
	if err := json.Unmarshal(m.Data, into); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// silence is how long one worker may take to answer before all workers are asked.
const silence = 300 * time.Millisecond

// request asks one worker on <app>.ctl.<what>, and all of them if that one is stopping or does not answer: NATS still gives a worker that hangs its
// share of the requests, in a cluster perhaps all that come over one server.
func (c *Client) request(ctx context.Context, what string, body []byte) (*nats.Msg, error) {
	inbox := c.nc.NewInbox()
	sub, err := c.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.nc.PublishRequest(topology.ControlSubject(c.app, what), inbox, body); err != nil {
		return nil, err
	}
	first, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	m, err := sub.NextMsgWithContext(first)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) || err == nil && m.Header.Get(micro.ErrorCodeHeader) == codeStopping {
		if err := c.nc.PublishRequest(topology.ControlSubject(c.app, what+anySuffix), inbox, body); err != nil {
			return nil, err
		}
		if m != nil {
			return other(ctx, sub, m)
		}
		m, err = sub.NextMsgWithContext(ctx)
	}
	return m, err
}

// other returns the answer of another worker than the one that refused, or the refusal if no other one answers in time.
func other(ctx context.Context, sub *nats.Subscription, refusal *nats.Msg) (*nats.Msg, error) {
	limited, cancel := context.WithTimeout(ctx, serveTime+silence)
	defer cancel()
	m, err := sub.NextMsgWithContext(limited)
	if errors.Is(err, context.DeadlineExceeded) {
		return refusal, nil
	}
	return m, err
}

// Status asks every worker for its status and returns the answers that come within wait, sorted by id.
func (c *Client) Status(ctx context.Context, wait time.Duration) ([]Worker, error) {
	workers, err := c.askAll(ctx, "status", nil, wait)
	if err != nil {
		return nil, fmt.Errorf("query status: %w", err)
	}
	return workers, nil
}

// askAll asks every worker on <app>.ctl.<what>, and returns the answers that come within wait, sorted by id. If a worker
// answers with an error, askAll returns that error.
func (c *Client) askAll(ctx context.Context, what string, body []byte, wait time.Duration) ([]Worker, error) {
	inbox := c.nc.NewInbox()
	sub, err := c.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.nc.PublishRequest(topology.ControlSubject(c.app, what), inbox, body); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var out []Worker
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if errors.Is(err, nats.ErrNoResponders) {
			return nil, ErrNoWorker
		}
		if err != nil {
			return nil, err
		}
		if m.Header.Get(micro.ErrorCodeHeader) != "" {
			return nil, errors.New(m.Header.Get(micro.ErrorHeader))
		}
		var w Worker
		if err := json.Unmarshal(m.Data, &w); err != nil {
			return nil, fmt.Errorf("read an answer: %w", err)
		}
		slices.SortFunc(w.Shards, func(a, b ShardStatus) int { return a.Shard - b.Shard })
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b Worker) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}
