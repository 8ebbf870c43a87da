package consume

import (
	"context"
	"time"

	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/jetstream"
)

// countPause is the least time between two counts of what waits for shards that do not run.
const countPause = time.Second

// countLags counts what waits in the log for those shards that do not run: their feeds, if they have any, do not move and so
// do not tell. It does so every few seconds, and soon after a shard has come to a halt, until ctx ends.
func (w *Worker) countLags(ctx context.Context) {
	tick := time.NewTicker(w.waits.count)
	defer tick.Stop()
	for {
		for n, at := range w.halted() {
			if lag, err := w.behind(ctx, n, at); err == nil { // else the one counted before stands
				w.counted(n, lag)
			}
		}
		if sleep(ctx, nil, min(countPause, w.waits.count)) {
			return
		}
		select {
		case <-w.haltedOne:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// counted keeps a count, unless the shard was handed over meanwhile.
func (w *Worker) counted(n int, lag uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.shards[n]; s != nil {
		s.lag = lag
	}
}

// halted are the positions of the shards that do not run and have been claimed.
func (w *Worker) halted() map[int]store.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[int]store.Position)
	for n, s := range w.shards {
		if s.state != stateRunning && s.fence > 0 {
			out[n] = s.position
		}
	}
	return out
}

// behind is the number of messages that a shard's log has behind a position.
func (w *Worker) behind(ctx context.Context, shard int, at store.Position) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, feedAnswerTime)
	defer cancel()
	e := w.topology.Current()
	stream := topology.StreamName(w.cfg.App, e.Epoch, e.Lane(shard))
	c, err := w.js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		FilterSubject: topology.WorkSubject(w.cfg.App, e.Epoch, e.Lane(shard), shard),
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: at.Seq + 1, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: feedInactive,
	})
	if err != nil {
		return 0, err
	}
	_ = w.js.DeleteConsumer(ctx, stream, c.CachedInfo().Name) // else the server forgets it soon
	return c.CachedInfo().NumPending, nil
}
