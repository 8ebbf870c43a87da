package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// rawInFlight is what the publisher has unacknowledged: as much as Lockstep's.
const rawInFlight = 32_768

// rawJetStream publishes to as many subjects as there are shards, asynchronously, while one ordered consumer for each reads
// them; one process, two connections, no effects, file storage. It returns the events consumed a second.
func rawJetStream(ctx context.Context, url string, c *CLI) (float64, error) {
	in, err := nats.Connect(url)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := nats.Connect(url)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	pub, err := jetstream.New(in, jetstream.WithPublishAsyncMaxPending(rawInFlight))
	if err != nil {
		return 0, err
	}
	sub, err := jetstream.New(out)
	if err != nil {
		return 0, err
	}
	const stream = "BENCH_RAW"
	if _, err := pub.CreateStream(ctx, jetstream.StreamConfig{Name: stream, Subjects: []string{"bench.raw.*"}, Storage: jetstream.FileStorage}); err != nil {
		return 0, err
	}
	defer func() { _ = pub.DeleteStream(context.WithoutCancel(ctx), stream) }()

	subjects := make([]string, c.Shards)
	var consumed atomic.Int64
	for i := range subjects {
		subjects[i] = fmt.Sprintf("bench.raw.%d", i)
		cons, err := sub.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: subjects[i : i+1]})
		if err != nil {
			return 0, err
		}
		cc, err := cons.Consume(func(jetstream.Msg) { consumed.Add(1) })
		if err != nil {
			return 0, err
		}
		defer cc.Stop()
	}
	payload := make([]byte, c.Size)
	began, sent := time.Now(), int64(0)
	for ; time.Since(began) < c.Duration; sent++ {
		if _, err := pub.PublishAsync(subjects[sent%int64(len(subjects))], payload, jetstream.WithStallWait(time.Minute)); err != nil {
			return 0, err
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
	select {
	case <-pub.PublishAsyncComplete():
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for consumed.Load() < sent {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return float64(sent) / time.Since(began).Seconds(), nil
}
