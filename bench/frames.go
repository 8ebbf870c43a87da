package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/lockstep/pkg/publish"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/topology"
)

const (
	framesSenders     = 1024
	framesConnections = 4
	drainCheck        = time.Millisecond
)

var framesPeer = peer{
	name:    "lockstep-frames",
	title:   "Lockstep, each event its own frame",
	run:     lockstepFrames,
	effect:  true,
	ordered: true,
	promise: lockstepPromise,
	settings: fmt.Sprintf(`The same router and workers. %d publishers of one outstanding event each (publish.Config{MaxEvents: 1}) on %d connections call
Send, which waits until the event is stored. So no publisher gathers anything: each event is a request and an answer of its own,
as from %d clients that send one event at a time. What the router gathers of them it stores together.`, framesSenders, framesConnections, framesSenders),
}

var sendPeer = peer{
	name:    "lockstep-send",
	title:   "Lockstep, synchronous Send",
	run:     lockstepSend,
	effect:  true,
	ordered: true,
	promise: lockstepPromise,
	settings: fmt.Sprintf(`The same router and workers. One publisher with its defaults, on which %d goroutines call Send, each waiting until
its event is stored before it sends the next. The publisher gathers what they send at the same time.`, framesSenders),
}

// lockstepFrames sends from many publishers that hold one event each.
func lockstepFrames(ctx context.Context, r *round) (result, error) {
	return r.sendFrom(ctx, framesSenders, framesConnections, publish.Config{App: r.id, MaxEvents: 1})
}

// lockstepSend sends from one publisher that many goroutines share.
func lockstepSend(ctx context.Context, r *round) (result, error) {
	return r.sendFrom(ctx, 1, 1, publish.Config{App: r.id})
}

// sendFrom calls Send from framesSenders goroutines, dealt out to publishers, and they to connections.
func (r *round) sendFrom(ctx context.Context, publishers, connections int, cfg publish.Config) (_ result, err error) {
	d, err := r.deploy(ctx)
	if err != nil {
		return result{}, err
	}
	defer d.stop()
	conns := make([]*nats.Conn, connections)
	for i := range conns {
		if conns[i], err = r.servers.connect(); err != nil {
			return result{}, err
		}
		defer conns[i].Close()
	}
	senders := min(framesSenders, r.keys)
	all := make([]*publish.Publisher, min(publishers, senders))
	for i := range all {
		if all[i], err = publish.New(conns[i%len(conns)], cfg); err != nil {
			return result{}, err
		}
		if err := all[i].Start(ctx); err != nil {
			return result{}, err
		}
		defer func() {
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
			defer cancel()
			err = errors.Join(err, all[i].Stop(stopping))
		}()
	}
	l, err := newLedger(conns[0], r.id)
	if err != nil {
		return result{}, err
	}
	c := crew{await: l.applied, read: l.accounts}
	for i := range senders {
		c.senders = append(c.senders, syncSender{all[i%len(all)], r.flow})
	}
	return r.run(ctx, c)
}

// syncSender waits for each event.
type syncSender struct {
	p    *publish.Publisher
	flow *flow
}

func (s syncSender) send(ctx context.Context, ev event) error {
	if err := s.p.Send(ctx, ev.key, ev.payload); err != nil {
		return err
	}
	s.flow.applied(1) // not yet, but stored: what is under way is bounded by the senders
	return nil
}

func (syncSender) flush(context.Context) error { return nil }

// ledger is what an app's workers have stored.
type ledger struct {
	app   string
	js    jetstream.JetStream
	query *query.Client
}

func newLedger(nc *nats.Conn, app string) (*ledger, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	return &ledger{app: app, js: js, query: query.NewClient(nc, app)}, nil
}

// applied waits until every shard has been committed to its end.
func (l *ledger) applied(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stalled, fmt.Errorf("the workers have not reached the log's end after %s", stalled))
	defer cancel()
	t, err := topology.Load(ctx, l.js, l.app)
	if err != nil {
		return err
	}
	ends, err := topology.Ends(ctx, l.js, l.app, t.Current())
	if err != nil {
		return err
	}
	tick := time.NewTicker(drainCheck)
	defer tick.Stop()
	for {
		positions, err := l.query.Positions(ctx)
		if err != nil {
			return err
		}
		if reached(ends, positions) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// reached says whether every shard stands at its end.
func reached(ends []uint64, positions []query.Position) bool {
	at := make([]uint64, len(ends))
	for _, p := range positions {
		if p.Shard >= 0 && p.Shard < len(at) {
			at[p.Shard] = p.Seq
		}
	}
	for shard, end := range ends {
		if at[shard] < end {
			return false
		}
	}
	return true
}

func (l *ledger) accounts(ctx context.Context, keys []string) ([]account, error) {
	states, err := l.query.States(ctx, keys)
	if err != nil {
		return nil, err
	}
	out := make([]account, len(states))
	for i, s := range states {
		if !s.Found {
			continue
		}
		if err := json.Unmarshal(s.Data, &out[i]); err != nil {
			return nil, fmt.Errorf("the state of %s: %w", s.Key, err)
		}
		out[i].Events = s.Count
		if out[i].Chain, err = strconv.ParseUint(s.Chain, 16, 64); err != nil {
			return nil, fmt.Errorf("the chain of %s: %w", s.Key, err)
		}
	}
	return out, nil
}
