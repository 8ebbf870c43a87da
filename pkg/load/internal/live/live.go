// Package live is a running app as a load sees it: the log and its
// topology in JetStream, the store behind the workers' queries.
package live

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/load/internal/drive"
	"example.com/lockstep/pkg/publish"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
)

// System is an app on a NATS server. It implements drive.System.
type System struct {
	nc    *nats.Conn
	js    jetstream.JetStream
	app   string
	query *query.Client
}

// New returns the app behind a connection.
func New(nc *nats.Conn, app string) (*System, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	return &System{nc: nc, js: js, app: app, query: query.NewClient(nc, app)}, nil
}

// Open starts a publisher.
func (s *System) Open(ctx context.Context, cfg drive.Config, onResolve func(uint64, error), onReceipt func(uint64)) (drive.Publisher, error) {
	p, err := publish.New(s.nc, publish.Config{
		App:             s.app,
		MaxEvents:       cfg.InFlight,
		DeliveryTimeout: cfg.DeliveryTimeout,
		OnResolve:       func(h *publish.Handle) { onResolve(h.Tag, h.Err()) },
		OnReceipt:       onReceipt,
	})
	if err != nil {
		return nil, err
	}
	return p, p.Start(ctx)
}

// Layout returns the shards of the current epoch.
func (s *System) Layout(ctx context.Context) (drive.Layout, error) {
	e, err := s.epoch(ctx)
	if err != nil {
		return drive.Layout{}, err
	}
	ring, err := e.Ring()
	if err != nil {
		return drive.Layout{}, err
	}
	return drive.Layout{Epoch: e.Epoch, Shards: e.Shards, ShardOf: ring.Shard}, nil
}

func (s *System) epoch(ctx context.Context) (topology.Epoch, error) {
	t, err := topology.Load(ctx, s.js, s.app)
	if err != nil {
		return topology.Epoch{}, fmt.Errorf("%w: is a router of app %s running?", err, s.app)
	}
	return t.Current(), nil
}

// Ends returns the last stream sequence of each shard.
func (s *System) Ends(ctx context.Context, l drive.Layout) ([]uint64, error) {
	e, err := s.epoch(ctx)
	if err != nil {
		return nil, err
	}
	if e.Epoch != l.Epoch {
		return nil, fmt.Errorf("epoch %d has followed epoch %d", e.Epoch, l.Epoch)
	}
	return topology.Ends(ctx, s.js, s.app, e)
}

// Positions returns how far the shards have been committed.
func (s *System) Positions(ctx context.Context) ([]drive.Position, error) {
	positions, err := s.query.Positions(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]drive.Position, len(positions))
	for i, p := range positions {
		out[i] = drive.Position{Shard: p.Shard, Epoch: p.Epoch, Seq: p.Seq}
	}
	return out, nil
}

// States returns what the owner of each shard says of it.
func (s *System) States(ctx context.Context) (map[int]string, error) {
	workers, err := s.query.Status(ctx, answersWait)
	if err != nil {
		return nil, err
	}
	states := make(map[int]string)
	for _, w := range workers {
		for _, sh := range w.Shards {
			states[sh.Shard] = fmt.Sprintf("%s owns it and says: %s", w.Name, sh.State)
		}
	}
	return states, nil
}

// Owners watches who owns which shard. Where no worker has ever been, there is
// nothing to watch.
func (s *System) Owners(ctx context.Context, changed func(shard int, worker string)) (stop func(), err error) {
	w, err := group.Watch(ctx, s.nc, s.app, changed)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	return w.Stop, nil
}

// Bounds on the wait for the answers of all workers: to a pause, of which a missed
// one is asked for again, and to what the report says of shards, which is asked once.
const (
	pauseWait   = 200 * time.Millisecond
	answersWait = time.Second
)

// Pause asks every worker. It counts as heard if all shards' owners have answered.
func (s *System) Pause(ctx context.Context, d time.Duration) error {
	workers, err := s.query.Pause(ctx, d, pauseWait)
	if err != nil {
		return err
	}
	e, err := s.epoch(ctx)
	if err != nil {
		return err
	}
	owned := make(map[int]bool)
	for _, w := range workers {
		for _, sh := range w.Shards {
			owned[sh.Shard] = true
		}
	}
	if len(owned) < e.Shards {
		return fmt.Errorf("the owners of %d of %d shards have answered", len(owned), e.Shards)
	}
	return nil
}

// Stored returns what the store holds for up to 1,000 keys.
func (s *System) Stored(ctx context.Context, keys []string) ([]drive.Stored, error) {
	states, err := s.query.States(ctx, keys)
	if err != nil {
		return nil, err
	}
	if len(states) != len(keys) {
		return nil, fmt.Errorf("%d states for %d keys", len(states), len(keys))
	}
	out := make([]drive.Stored, len(keys))
	for i, st := range states {
		if st.Key != keys[i] {
			return nil, fmt.Errorf("asked for key %s, told of key %s", keys[i], st.Key)
		}
		out[i] = stored(st)
	}
	return out, nil
}

// Waiting reads a key's list.
func (s *System) Waiting(ctx context.Context, key string, take func(payload []byte) error) error {
	_, err := s.query.EachWaiting(ctx, key, func(e query.WaitingEvent) error { return take(e.Data) })
	if errors.Is(err, query.ErrListChanged) {
		return fmt.Errorf("key %s: %w", key, drive.ErrListChanged)
	}
	return err
}

// stored reads an answer about one key.
func stored(st query.State) (out drive.Stored) {
	out.SetAside, out.Parked = st.SetAside, st.Parked
	if !st.Found {
		return out
	}
	chain, err := strconv.ParseUint(st.Chain, 16, 64)
	if err != nil || st.Count == 0 && st.Dropped == 0 {
		out.Err = fmt.Errorf("the worker's answer has no proof of its state (count %d, chain %q): is the worker older than the producer?", st.Count, st.Chain)
		return out
	}
	out.Found, out.Data = true, st.Data
	out.Proof = store.Proof{Count: st.Count, Chain: chain, Dropped: st.Dropped}
	return out
}
