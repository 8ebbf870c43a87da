package topology

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// entriesInactive is how long the server keeps a consumer without a listener.
const entriesInactive = 5 * time.Second

var errMissed = errors.New("entries were missed")

// entries is a consumer of a bucket: an ephemeral one, in the memory of one server, that sends the newest entry of each key
// and then each change. While idle it sends a heartbeat every followBeat, with the number of its last message. (A watch of the
// client library has a heartbeat of 5 s, and the library takes 10 s to notice that its consumer is gone.)
type entries struct {
	bucket   string
	messages chan *nats.Msg
	quit     chan struct{}
	ended    chan struct{} // closed after the last message
	sub      *nats.Subscription
	forget   func() // asks the server to delete the consumer

	first    uint64 // entries in the bucket when the consumer was made
	taken    uint64 // messages taken
	synced   bool   // the first entries have all been taken
	revision uint64 // of the entry taken last
}

func bucketStream(bucket string) string { return "KV_" + bucket }

func entryPrefix(bucket string) string { return "$KV." + bucket + "." }

// openEntries asks the server for a consumer of a bucket, for one key or ">", all of them.
func openEntries(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, bucket, keys string) (*entries, error) {
	c := &entries{
		bucket: bucket, messages: make(chan *nats.Msg), quit: make(chan struct{}), ended: make(chan struct{}), forget: func() {},
	}
	var err error
	inbox := nc.NewInbox()
	if c.sub, err = nc.Subscribe(inbox, c.receive); err != nil {
		return nil, err
	}
	c.sub.SetClosedHandler(func(string) { close(c.ended) })
	consumer, err := js.CreatePushConsumer(ctx, bucketStream(bucket), jetstream.ConsumerConfig{
		DeliverSubject: inbox, FilterSubject: entryPrefix(bucket) + keys,
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, AckPolicy: jetstream.AckNonePolicy,
		IdleHeartbeat: followBeat, InactiveThreshold: entriesInactive, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		c.end()
		return nil, err
	}
	info := consumer.CachedInfo()
	c.first = info.NumPending
	c.forget = func() {
		if nc.IsConnected() { // without waiting for the answer: the server deletes it soon anyway
			_ = nc.Publish(fmt.Sprintf("%sCONSUMER.DELETE.%s.%s", jetstream.DefaultAPIPrefix, info.Stream, info.Name), nil)
		}
	}
	return c, nil
}

func (c *entries) receive(m *nats.Msg) {
	select {
	case c.messages <- m:
	case <-c.quit:
	}
}

// end ends the consumer and its subscription.
func (c *entries) end() {
	close(c.quit)
	_ = c.sub.Unsubscribe() // fails only on a closed connection, which ends it too
	<-c.ended
	c.forget()
}

// take hands the entry in a message to fn, if it holds one. It returns an error if an earlier message was missed.
func (c *entries) take(m *nats.Msg, fn func(jetstream.KeyValueEntry)) error {
	if last, ok := beat(m); ok {
		if last > c.taken {
			return fmt.Errorf("%w: %d were sent, %d received", errMissed, last, c.taken)
		}
		return nil
	}
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("message without stream metadata: %w", err)
	}
	if meta.Sequence.Consumer != c.taken+1 {
		return fmt.Errorf("%w: number %d arrived after number %d", errMissed, meta.Sequence.Consumer, c.taken)
	}
	c.taken++
	c.revision = meta.Sequence.Stream
	if key, ok := strings.CutPrefix(m.Subject, entryPrefix(c.bucket)); ok {
		fn(bucketEntry{
			bucket: c.bucket, key: key, value: m.Data, op: operation(m.Header),
			revision: meta.Sequence.Stream, created: meta.Timestamp, delta: meta.NumPending,
		})
	}
	if c.taken >= c.first || meta.NumPending == 0 { // some of the first entries may have been replaced meanwhile
		c.sync(fn)
	}
	return nil
}

// sync calls fn with nil, once, when all first entries have been taken.
func (c *entries) sync(fn func(jetstream.KeyValueEntry)) {
	if !c.synced {
		c.synced = true
		fn(nil)
	}
}

// beat tells whether a message is a heartbeat, and the number of the last message sent before it.
func beat(m *nats.Msg) (last uint64, ok bool) {
	if len(m.Data) > 0 || m.Header.Get("Status") != "100" {
		return 0, false
	}
	last, err := strconv.ParseUint(m.Header.Get("Nats-Last-Consumer"), 10, 64)
	return last, err == nil
}

func operation(h nats.Header) jetstream.KeyValueOp {
	switch h.Get("KV-Operation") {
	case "DEL":
		return jetstream.KeyValueDelete
	case "PURGE":
		return jetstream.KeyValuePurge
	}
	switch h.Get("Nats-Marker-Reason") {
	case "MaxAge", "Purge":
		return jetstream.KeyValuePurge
	case "Remove":
		return jetstream.KeyValueDelete
	}
	return jetstream.KeyValuePut
}

// bucketEntry is a jetstream.KeyValueEntry.
type bucketEntry struct {
	bucket, key string
	value       []byte
	revision    uint64
	created     time.Time
	delta       uint64
	op          jetstream.KeyValueOp
}

func (e bucketEntry) Bucket() string                  { return e.bucket }
func (e bucketEntry) Key() string                     { return e.key }
func (e bucketEntry) Value() []byte                   { return e.value }
func (e bucketEntry) Revision() uint64                { return e.revision }
func (e bucketEntry) Created() time.Time              { return e.created }
func (e bucketEntry) Delta() uint64                   { return e.delta }
func (e bucketEntry) Operation() jetstream.KeyValueOp { return e.op }
