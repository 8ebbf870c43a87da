// Package janitor purges the log of messages that every shard has committed and that are older than the history to keep. It
// never purges a message that a shard has yet to commit. One janitor works at a time, under a lease. The lease alone does not
// make it safe: the janitor may be paused between looking and purging while the store goes back in time. So it records the
// positions that it relied on before it purges, and a worker that finds messages purged compares its position with that record.
package janitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/jetstream"
)

// DefaultEvery is how often the janitor looks.
const DefaultEvery = 5 * time.Second

// Config is how a Janitor works.
type Config struct {
	App      string
	Topology topology.Topology
	KV       jetstream.KeyValue // the topology's bucket
	Store    store.Store
	Lease    func(context.Context) (*lease.Lease, error) // takes the lease; its error is a *lease.Taken if another janitor works
	Every    time.Duration                               // default 5 s
	Log      *slog.Logger
}

// Janitor purges streams.
type Janitor struct {
	cfg Config
	js  jetstream.JetStream

	beforePurge func()        // a test's pause between looking and purging
	marksKept   time.Duration // see topology.MarksKept
	swept       time.Time     // when the buckets were last swept

	once   *lifecycle.Once
	run    context.Context // ends when Stop is called
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// New makes a Janitor.
func New(js jetstream.JetStream, cfg Config) (*Janitor, error) {
	if cfg.Every == 0 {
		cfg.Every = DefaultEvery
	}
	if cfg.KV == nil || cfg.Store == nil || cfg.Lease == nil || cfg.Log == nil || cfg.Every < 0 {
		return nil, errors.New("a janitor needs a KV, a Store, a Lease, a Log and a positive Every")
	}
	j := &Janitor{cfg: cfg, js: js, beforePurge: func() {}, marksKept: topology.MarksKept}
	j.run, j.cancel = context.WithCancel(context.Background())
	j.once = lifecycle.NewOnce("janitor", j.start, j.stop)
	return j, nil
}

// Start begins to work at times when no other janitor does.
func (j *Janitor) Start(ctx context.Context) error { return j.once.Start(ctx) }

// Stop ends the work at once. The server finishes or abandons a purge in flight; either is safe.
func (j *Janitor) Stop(ctx context.Context) error { return j.once.Stop(ctx) }

func (j *Janitor) start(context.Context) error {
	j.done.Go(func() { j.work(j.run) })
	return nil
}

func (j *Janitor) stop(context.Context) error {
	j.cancel()
	j.done.Wait()
	return nil
}

func (j *Janitor) work(ctx context.Context) {
	tick := time.NewTicker(j.cfg.Every)
	defer tick.Stop()
	var held *lease.Lease
	defer func() {
		if held != nil {
			release, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = held.Release(release) // else it expires
		}
	}()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if held == nil || held.Context().Err() != nil {
			var err error
			if held, err = j.take(ctx, held); err != nil {
				if !errors.Is(err, lease.ErrTaken) && ctx.Err() == nil {
					j.cfg.Log.Warn("janitor could not take its lease; retrying", "error", err)
				}
				continue
			}
		}
		if err := j.cleanUnder(ctx, held); err != nil && ctx.Err() == nil {
			j.cfg.Log.Warn("could not clean the log; retrying", "error", err)
		}
	}
}

// cleanUnder cleans for as long as the lease is held and ctx lasts.
func (j *Janitor) cleanUnder(ctx context.Context, held *lease.Lease) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(held.Context(), cancel)()
	return j.clean(ctx)
}

// take takes the lease, after the last one was lost.
func (j *Janitor) take(ctx context.Context, lost *lease.Lease) (*lease.Lease, error) {
	if lost != nil {
		_ = lost.Release(ctx) // it is lost: this ends its renewal
	}
	return j.cfg.Lease(ctx)
}

// clean purges every stream as far as it may, and sweeps the buckets from time to time.
func (j *Janitor) clean(ctx context.Context) error {
	for _, e := range j.cfg.Topology.Epochs {
		for lane := range e.Lanes {
			if err := j.cleanLane(ctx, e, lane); err != nil {
				return fmt.Errorf("stream %s: %w", topology.StreamName(j.cfg.App, e.Epoch, lane), err)
			}
		}
	}
	if time.Since(j.swept) < j.marksKept {
		return nil
	}
	j.swept = time.Now()
	return topology.Sweep(ctx, j.js, j.cfg.App, j.marksKept, j.cfg.Log)
}

func (j *Janitor) cleanLane(ctx context.Context, e topology.Epoch, lane int) error {
	stream, err := j.js.Stream(ctx, topology.StreamName(j.cfg.App, e.Epoch, lane))
	if err != nil {
		return err
	}
	state := stream.CachedInfo().State
	if state.Msgs == 0 {
		return nil
	}
	wanted, err := j.outOfHistory(ctx, topology.StreamName(j.cfg.App, e.Epoch, lane), state, e.Lanes)
	if err != nil || wanted < state.FirstSeq {
		return err
	}
	l, err := j.look(ctx, e, lane, state)
	if err != nil {
		return err
	}
	upTo := min(wanted, l.committed(e.Epoch))
	if upTo < state.FirstSeq {
		return nil
	}
	j.beforePurge()
	if err := topology.RecordPurge(ctx, j.js, j.cfg.KV, e.Epoch, lane, l.relied(upTo)); err != nil {
		return err
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(upTo+1)); err != nil {
		return fmt.Errorf("purge up to %d: %w", upTo, err)
	}
	j.cfg.Log.Debug("log cleaned", "epoch", e.Epoch, "lane", lane, "up_to", upTo)
	return nil
}

// look reads the positions that the shards of a lane have committed, after the stream's state. It asks the stream's leader for
// each shard's end: a server that lags may name an older message, and the shard would seem to have committed all.
func (j *Janitor) look(ctx context.Context, e topology.Epoch, lane int, state jetstream.StreamState) (look, error) {
	l := look{first: state.FirstSeq, last: state.LastSeq}
	for shard := lane; shard < e.Shards; shard += e.Lanes {
		s := shardLook{shard: shard}
		m, err := topology.LastMessage(ctx, j.js, topology.StreamName(j.cfg.App, e.Epoch, lane), topology.WorkSubject(j.cfg.App, e.Epoch, lane, shard))
		switch {
		case err == nil:
			s.end = m.Sequence
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return look{}, err
		}
		l.shards = append(l.shards, s)
	}
	for i := range l.shards { // a slot that is torn has committed nothing that may be relied on
		found, err := j.cfg.Store.Intact(ctx, l.shards[i].shard)
		if err != nil {
			return look{}, err
		}
		l.shards[i].committed = found.Position
	}
	return l, nil
}

// outOfHistory returns the last message outside the history to keep: older than its age, by the log's own time, or beyond its
// size.
func (j *Janitor) outOfHistory(ctx context.Context, stream string, state jetstream.StreamState, lanes int) (uint64, error) {
	upTo := uint64(0)
	if keep := uint64(j.cfg.Topology.Log.HistoryBytes) / uint64(lanes); keep > 0 && state.Bytes > keep {
		upTo = state.FirstSeq - 1 + (state.Bytes-keep)/max(1, state.Bytes/state.Msgs) // by the average size; the rest next time
	}
	age := j.cfg.Topology.Log.HistoryAge
	cutoff := state.LastTime.Add(-age)
	if age == 0 || !state.FirstTime.Before(cutoff) {
		return min(upTo, state.LastSeq), nil
	}
	low, err := topology.LastBefore(ctx, j.js, stream, state, cutoff)
	return max(upTo, low), err
}
