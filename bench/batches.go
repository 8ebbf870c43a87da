package main

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

const (
	batchesAhead = 1024 // messages fetched ahead, of each shard
	batchesMost  = 2048 // messages of a batch
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
	settings: fmt.Sprintf(`What one writes who wants more speed than one message at a time: one message an event, one durable pull consumer a
shard, dealt out to the workers, %d messages fetched ahead of each. A worker takes what has arrived, up to %d, has the effects with one
MGET and one MSET, and acknowledges the last message of each shard (AckAll).`, batchesAhead, batchesMost),
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
		work := &batchWorker{arrived: make(chan jetstream.Msg, batchesMost), effects: newEffects(rdb, r.flow)}
		for _, shard := range share(r.shards, w, r.workers) {
			consumer, err := js.CreateOrUpdateConsumer(ctx, r.logStream(), jetstream.ConsumerConfig{
				Durable: r.consumerName(shard), FilterSubject: r.subject(shard),
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

// batchWorker has the effects of several shards' messages together.
type batchWorker struct {
	consumers []jetstream.Consumer
	arrived   chan jetstream.Msg
	effects   *effects
}

func (w *batchWorker) work(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, c := range w.consumers {
		all.Go(func() error {
			return messages(ctx, c, batchesAhead, func(m jetstream.Msg) error {
				select {
				case w.arrived <- m:
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
	last := map[string]jetstream.Msg{} // of each subject
	add := func(m jetstream.Msg) {
		batch = append(batch, event{key: m.Headers().Get(headerKey), payload: m.Data()})
		last[m.Subject()] = m
	}
	for {
		batch = batch[:0]
		clear(last)
		select {
		case m := <-w.arrived:
			add(m)
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
			if err := m.Ack(); err != nil {
				return err
			}
		}
	}
}
