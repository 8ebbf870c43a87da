package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// storeTime is how long a publisher waits for room among its unconfirmed events.
const storeTime = time.Minute

// logStream is the name of a round's stream.
func (r *round) logStream() string { return r.id + "_log" }

// subject is where a shard's events are published.
func (r *round) subject(shard int) string { return fmt.Sprintf("%s.work.%d", r.id, shard) }

// consumerName names the durable consumer of a shard.
func (r *round) consumerName(shard int) string { return fmt.Sprintf("shard-%d", shard) }

// createLog creates a round's stream: a subject for each shard, on disk.
func (r *round) createLog(ctx context.Context, js jetstream.JetStream) error {
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: r.logStream(), Subjects: []string{r.id + ".work.*"}, Storage: jetstream.FileStorage})
	return err
}

// asyncPublisher publishes without waiting for each confirmation.
type asyncPublisher struct {
	js       jetstream.JetStream
	subjects []string
	header   bool // the key goes along
}

func (r *round) newAsyncPublisher(nc *nats.Conn, withKey bool) (*asyncPublisher, error) {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(maxOutstanding))
	if err != nil {
		return nil, err
	}
	p := &asyncPublisher{js: js, header: withKey}
	for shard := range r.shards {
		p.subjects = append(p.subjects, r.subject(shard))
	}
	return p, nil
}

// headerKey is the header that holds an event's key.
const headerKey = "Key"

func (p *asyncPublisher) send(_ context.Context, ev event) error {
	m := &nats.Msg{Subject: p.subjects[ev.shard], Data: ev.payload}
	if p.header {
		m.Header = nats.Header{headerKey: {ev.key}}
	}
	_, err := p.js.PublishMsgAsync(m, jetstream.WithStallWait(storeTime))
	return err
}

func (p *asyncPublisher) flush(ctx context.Context) error {
	select {
	case <-p.js.PublishAsyncComplete():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// messages calls take for each message of a consumer until ctx ends.
func messages(ctx context.Context, c jetstream.Consumer, ahead int, take func(jetstream.Msg) error) error {
	it, err := c.Messages(jetstream.PullMaxMessages(ahead))
	if err != nil {
		return err
	}
	defer it.Stop()
	defer context.AfterFunc(ctx, it.Stop)()
	for {
		m, err := it.Next()
		if err != nil {
			return err
		}
		if err := take(m); err != nil {
			return err
		}
	}
}
