package consume

import (
	"context"
	"time"

	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/jetstream"
)

// countPause is the least time between two counts of the backlogs of shards that do not run.
const countPause = time.Second

// countBacklogs counts the messages that wait in the log for those shards that do not run: their feeds, if they have any, do
// not move and cannot tell. It counts every few seconds, and soon after a shard has come to a halt, until ctx ends.
func (w *Worker) countBacklogs(ctx context.Context) {
	tick := time.NewTicker(w.waits.count)
	defer tick.Stop()
	for {
		for n, at := range w.statuses.halted() {
			if count, err := w.backlog(ctx, n, at); err == nil { // else the one counted before is kept
				w.statuses.counted(n, count)
			}
		}
		if sleep(ctx, nil, min(countPause, w.waits.count)) {
			return
		}
		select {
		case <-w.statuses.halts:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// backlog is the number of messages that a shard's log has behind a position.
func (w *Worker) backlog(ctx context.Context, shard int, at store.Position) (uint64, error) {
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
