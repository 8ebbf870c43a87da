package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

const (
	batchesConsumers = 16   // one for each shard, up to so many
	batchesAhead     = 4096 // messages fetched ahead
	batchesMost      = 2048 // messages of a batch
)

var batchesPeer = peer{
	name:    "batches",
	title:   "JetStream, batches by hand",
	matrix:  true,
	run:     batchesByHand,
	effect:  true,
	ordered: true,
	promise: promise{
		order:    "by subject, while one worker has it and nothing is delivered again",
		effects:  "at least once: a crash between effect and ack doubles a whole batch",
		failover: "yours to write: each worker is given its shards",
		durable:  "JetStream, file storage; effects: Redis, AOF every second",
	},
	settings: fmt.Sprintf(`What one writes who wants more speed than one message at a time: one message an event, a subject a shard,
a durable pull consumer for each subject, or for each worker if there is but one of them or if the subjects are more than %d; %d messages fetched ahead. A worker is given
its shards, takes what has arrived, up to %d, has the effects with one MGET and one MSET, and acknowledges the last message of each
consumer (AckAll).`, batchesConsumers, batchesAhead, batchesMost),
}

func batchesByHand(ctx context.Context, r *round) (result, error) {
	nc, err := r.servers.connect()
	if err != nil {
		return result{}, err
	}
	defer nc.Close()
	p, err := r.newAsyncPublisher(nc, true)
	if err != nil {
		return result{}, err
	}
	if err := r.createLog(ctx, p.js); err != nil {
		return result{}, err
	}
	c := crew{senders: []sender{p}, read: r.readAccounts}
	for w := range r.workers {
		out, err := r.servers.connect()
		if err != nil {
			return result{}, err
		}
		defer out.Close()
		js, err := jetstream.New(out)
		if err != nil {
			return result{}, err
		}
		rdb := r.servers.redisClient()
		defer rdb.Close()
		work := &batchWorker{arrived: make(chan arrival, batchesMost), effects: newEffects(rdb, r.flow)}
		for i, subjects := range r.filters(share(r.shards, w, r.workers)) {
			consumer, err := js.CreateOrUpdateConsumer(ctx, r.logStream(), jetstream.ConsumerConfig{
				Durable: fmt.Sprintf("worker-%d-%d", w, i), FilterSubjects: subjects,
				AckPolicy: jetstream.AckAllPolicy, AckWait: ackWait, MaxAckPending: -1,
			})
			if err != nil {
				return result{}, err
			}
			work.consumers = append(work.consumers, consumer)
		}
		c.workers = append(c.workers, work.work)
	}
	return r.run(ctx, c)
}

// filters returns the subjects of each consumer of a worker that is given shards. What a server has to do for a consumer that
// keeps acks grows with their number, and so does what it does for a consumer with the number of its subjects.
func (r *round) filters(shards []int) (all [][]string) {
	if len(shards) == 0 {
		return nil
	}
	if len(shards) == r.shards {
		return [][]string{{r.id + ".work.*"}}
	}
	for _, shard := range shards {
		all = append(all, []string{r.subject(shard)})
	}
	if r.shards > batchesConsumers {
		return [][]string{slices.Concat(all...)}
	}
	return all
}

// batchWorker has the effects of what has arrived together.
type batchWorker struct {
	consumers []jetstream.Consumer
	arrived   chan arrival
	effects   *effects
}

// arrival is a message and which of the consumers it came from.
type arrival struct {
	msg  jetstream.Msg
	from int
}

func (w *batchWorker) work(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	for i, c := range w.consumers {
		all.Go(func() error {
			return messages(ctx, c, batchesAhead, func(m jetstream.Msg) error {
				select {
				case w.arrived <- arrival{m, i}:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		})
	}
	all.Go(func() error { return w.apply(ctx) })
	return all.Wait()
}

func (w *batchWorker) apply(ctx context.Context) error {
	var batch []event
	last := make([]jetstream.Msg, len(w.consumers))
	add := func(a arrival) {
		batch = append(batch, event{key: a.msg.Headers().Get(headerKey), payload: a.msg.Data()})
		last[a.from] = a.msg
	}
	for {
		batch = batch[:0]
		clear(last)
		select {
		case a := <-w.arrived:
			add(a)
		case <-ctx.Done():
			return ctx.Err()
		}
		for n := min(len(w.arrived), batchesMost-1); n > 0; n-- { // nobody else takes them
			add(<-w.arrived)
		}
		if err := w.effects.many(ctx, batch, nil); err != nil {
			return err
		}
		for _, m := range last {
			if m == nil {
				continue
			}
			if err := m.Ack(); err != nil {
				return err
			}
		}
	}
}
