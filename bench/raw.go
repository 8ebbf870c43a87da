package main

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var rawPeer = peer{
	name:   "raw",
	title:  "raw JetStream",
	matrix: true,
	run:    rawJetStream,
	promise: promise{
		order:    "by subject",
		effects:  "has none",
		failover: "none: a reader that stops is not replaced",
		durable:  "JetStream, file storage",
	},
	settings: `One publisher, asynchronous; one message an event on one subject a shard. An ordered consumer (ephemeral, in memory, no
acks) for each subject, dealt out to as many connections as there are workers. It does nothing with what it reads: this is
what the log alone can do with one message an event, and no peer.`,
}

func rawJetStream(ctx context.Context, r *round) (result, error) {
	nc, err := r.servers.connect()
	if err != nil {
		return result{}, err
	}
	defer nc.Close()
	p, err := r.newAsyncPublisher(nc, false)
	if err != nil {
		return result{}, err
	}
	if err := r.createLog(ctx, p.js); err != nil {
		return result{}, err
	}
	for w := range r.workers {
		out, err := r.servers.connect()
		if err != nil {
			return result{}, err
		}
		defer out.Close()
		if err := r.readAll(ctx, out, share(r.shards, w, r.workers)); err != nil {
			return result{}, err
		}
	}
	return r.run(ctx, crew{senders: []sender{p}})
}

// readAll counts what comes on the shards' subjects until the connection is closed.
func (r *round) readAll(ctx context.Context, nc *nats.Conn, shards []int) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	for _, shard := range shards {
		c, err := js.OrderedConsumer(ctx, r.logStream(), jetstream.OrderedConsumerConfig{FilterSubjects: []string{r.subject(shard)}})
		if err != nil {
			return err
		}
		if _, err := c.Consume(func(jetstream.Msg) { r.flow.applied(1) }); err != nil {
			return err
		}
	}
	return nil
}
