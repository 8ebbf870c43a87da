package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

const (
	lockTime     = 8 * time.Second // redsync's own default
	lockRetry    = time.Millisecond
	lockTries    = 10_000
	handlers     = 128 // messages that a worker of the unordered kind handles at a time
	ahead        = 1024
	ackWait      = time.Minute
	mostUnacked  = 4096
	orderedAhead = 1
)

var textbookPeer = peer{
	name:   "textbook",
	title:  "lock per message",
	run:    textbook,
	effect: true,
	promise: promise{
		order:    "no: messages of a key overtake one another",
		effects:  "at least once: a crash between effect and ack doubles it, and the lock does not fence a paused worker",
		failover: "automatic: others take what was not acknowledged in time",
		durable:  "JetStream, file storage; effects: Redis, AOF every second",
	},
	settings: fmt.Sprintf(`For each message: a redsync lock on the key, GET, SET, unlock, ack. One durable pull consumer that all workers
share, %d messages fetched ahead, %d handled at a time by each worker. A lock that is taken is tried again after %s.
go-redis pipelines the commands of concurrent handlers (AutoPipeline).`, ahead, handlers, lockRetry),
}

var textbookOrderedPeer = peer{
	name:    "textbook-ordered",
	title:   "lock per message, in order",
	run:     textbookOrdered,
	effect:  true,
	ordered: true,
	promise: promise{
		order:    "by shard, while no handler outlasts the ack wait",
		effects:  "at least once: a crash between effect and ack doubles it, and the lock does not fence a paused worker",
		failover: "automatic: others take what was not acknowledged in time",
		durable:  "JetStream, file storage; effects: Redis, AOF every second",
	},
	settings: `The same, kept in order: one durable pull consumer a shard with MaxAckPending 1, so that a shard's next message is
delivered when the last is acknowledged. Every worker reads from every shard.`,
}

// textbook is the pattern as it is taught: lock the key, do the work, unlock, ack.
func textbook(ctx context.Context, r *round) (result, error) {
	return r.locked(ctx, func(js jetstream.JetStream, h *handler) (func(context.Context) error, error) {
		c, err := js.CreateOrUpdateConsumer(ctx, r.logStream(), jetstream.ConsumerConfig{
			Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: mostUnacked,
		})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error { return h.concurrently(ctx, c) }, nil
	})
}

// textbookOrdered is the same with one message of each shard at a time.
func textbookOrdered(ctx context.Context, r *round) (result, error) {
	return r.locked(ctx, func(js jetstream.JetStream, h *handler) (func(context.Context) error, error) {
		var consumers []jetstream.Consumer
		for shard := range r.shards {
			c, err := js.CreateOrUpdateConsumer(ctx, r.logStream(), jetstream.ConsumerConfig{
				Durable: r.consumerName(shard), FilterSubject: r.subject(shard),
				AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: 1,
			})
			if err != nil {
				return nil, err
			}
			consumers = append(consumers, c)
		}
		return func(ctx context.Context) error {
			all, ctx := errgroup.WithContext(ctx)
			for _, c := range consumers {
				own := h.another()
				all.Go(func() error {
					return messages(ctx, c, orderedAhead, func(m jetstream.Msg) error { return own.handle(ctx, m) })
				})
			}
			return all.Wait()
		}, nil
	})
}

// locked runs workers that lock each message's key, each with connections of its own.
func (r *round) locked(ctx context.Context, worker func(jetstream.JetStream, *handler) (func(context.Context) error, error)) (result, error) {
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
	for range r.workers {
		out, err := r.servers.connect()
		if err != nil {
			return result{}, err
		}
		defer out.Close()
		js, err := jetstream.New(out)
		if err != nil {
			return result{}, err
		}
		rdb, closeRedis, err := r.servers.pipeliner()
		if err != nil {
			return result{}, err
		}
		defer closeRedis()
		work, err := worker(js, &handler{effects: newEffects(rdb, r.flow), locks: redsync.New(goredis.NewPool(rdb)), rdb: rdb})
		if err != nil {
			return result{}, err
		}
		c.workers = append(c.workers, work)
	}
	return r.run(ctx, c)
}

// handler handles one message at a time.
type handler struct {
	rdb     redis.UniversalClient
	effects *effects
	locks   *redsync.Redsync
}

// another is for another goroutine.
func (h *handler) another() *handler {
	return &handler{rdb: h.rdb, effects: newEffects(h.rdb, h.effects.flow), locks: h.locks}
}

func (h *handler) handle(ctx context.Context, m jetstream.Msg) error {
	key := m.Headers().Get(headerKey)
	lock := h.locks.NewMutex("lock:"+key, redsync.WithExpiry(lockTime), redsync.WithTries(lockTries), redsync.WithRetryDelay(lockRetry))
	if err := lock.LockContext(ctx); err != nil {
		return err
	}
	if err := h.effects.one(ctx, key, m.Data()); err != nil {
		return err
	}
	if _, err := lock.UnlockContext(ctx); err != nil {
		return err
	}
	return m.Ack()
}

// concurrently handles many messages of a consumer at a time.
func (h *handler) concurrently(ctx context.Context, c jetstream.Consumer) error {
	all, ctx := errgroup.WithContext(ctx)
	queue := make(chan jetstream.Msg)
	all.Go(func() error {
		return messages(ctx, c, ahead, func(m jetstream.Msg) error {
			select {
			case queue <- m:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	for range handlers {
		own := h.another()
		all.Go(func() error {
			for {
				select {
				case m := <-queue:
					if err := own.handle(ctx, m); err != nil {
						return err
					}
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
	}
	return all.Wait()
}
