package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/ThreeDotsLabs/watermill"
	wmnats "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

const (
	watermillSenders = 128
	watermillAhead   = 1024 // messages delivered and not acknowledged, of a shard
)

var watermillPeer = peer{
	name:    "watermill",
	title:   "Watermill on JetStream",
	run:     watermillOnJetStream,
	effect:  true,
	ordered: true,
	promise: promise{
		order:    "by topic, while nothing is delivered again",
		effects:  "at least once: a crash between effect and ack doubles it",
		failover: "yours to write: each worker is given its topics",
		durable:  "JetStream, file storage; effects: Redis, AOF every second",
	},
	settings: fmt.Sprintf(`The package that its authors recommend for production (watermill-nats pkg/nats). One topic a shard, each with a durable
consumer and one subscriber, dealt out to the workers: more subscribers to a topic would lose the order. GET, SET and Ack for
each message, acks not waited for (AckAsync), up to %d delivered ahead. Its publisher waits for every confirmation, so %d
goroutines publish, each its own keys. go-redis pipelines the commands of a worker's topics (AutoPipeline).`, watermillAhead, watermillSenders),
}

func watermillOnJetStream(ctx context.Context, r *round) (result, error) {
	nc, err := r.servers.connect()
	if err != nil {
		return result{}, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return result{}, err
	}
	if err := r.createLog(ctx, js); err != nil {
		return result{}, err
	}
	pub, err := wmnats.NewPublisherWithNatsConn(nc, wmnats.PublisherPublishConfig{
		Marshaler: &wmnats.NATSMarshaler{}, SubjectCalculator: wmnats.DefaultSubjectCalculator,
	}, watermill.NopLogger{})
	if err != nil {
		return result{}, err
	}
	c := crew{read: r.readAccounts}
	for range min(watermillSenders, r.keys) {
		c.senders = append(c.senders, watermillSender{r, pub})
	}
	for w := range r.workers {
		work, stop, err := r.watermillWorker(ctx, share(r.shards, w, r.workers))
		if err != nil {
			return result{}, err
		}
		defer stop()
		c.workers = append(c.workers, work)
	}
	return r.run(ctx, c)
}

type watermillSender struct {
	round *round
	pub   *wmnats.Publisher
}

func (s watermillSender) send(ctx context.Context, ev event) error {
	m := message.NewMessageWithContext(ctx, watermill.NewShortUUID(), ev.payload)
	m.Metadata.Set(headerKey, ev.key)
	return s.pub.Publish(s.round.subject(ev.shard), m)
}

func (watermillSender) flush(context.Context) error { return nil } // every Publish has waited

// watermillWorker subscribes to the topics of shards.
func (r *round) watermillWorker(ctx context.Context, shards []int) (work func(context.Context) error, end func(), err error) {
	nc, err := r.servers.connect()
	if err != nil {
		return nil, nil, err
	}
	rdb, closeRedis, err := r.servers.pipeliner()
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	stop := func() {
		nc.Close()
		closeRedis()
	}
	sub, err := wmnats.NewSubscriberWithNatsConn(nc, wmnats.SubscriberSubscriptionConfig{
		AckWaitTimeout: ackWait,
		JetStream: wmnats.JetStreamConfig{
			AckAsync:          true,
			DurablePrefix:     "topic",
			DurableCalculator: func(prefix, topic string) string { return prefix + strings.ReplaceAll(topic, ".", "-") },
			SubscribeOptions: []nats.SubOpt{
				nats.BindStream(r.logStream()), nats.ManualAck(), nats.AckExplicit(), nats.DeliverAll(),
				nats.AckWait(ackWait), nats.MaxAckPending(watermillAhead),
			},
		},
	}, watermill.NopLogger{})
	if err != nil {
		stop()
		return nil, nil, err
	}
	topics, unsubscribe := context.WithCancel(ctx)
	end = func() {
		unsubscribe()
		_ = sub.Close() // what is left of it ends with the connection
		stop()
	}
	var channels []<-chan *message.Message
	for _, shard := range shards {
		ch, err := sub.Subscribe(topics, r.subject(shard))
		if err != nil {
			end()
			return nil, nil, err
		}
		channels = append(channels, ch)
	}
	return func(ctx context.Context) error {
		all, ctx := errgroup.WithContext(ctx)
		for _, ch := range channels {
			own := newEffects(rdb, r.flow)
			all.Go(func() error { return handleTopic(ctx, ch, own) })
		}
		return all.Wait()
	}, end, nil
}

func handleTopic(ctx context.Context, topic <-chan *message.Message, own *effects) error {
	for {
		select {
		case m, open := <-topic:
			if !open {
				return nil
			}
			if err := own.one(ctx, m.Metadata.Get(headerKey), m.Payload); err != nil {
				return err
			}
			m.Ack()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
