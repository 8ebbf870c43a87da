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

// entriesInactive is how long the server keeps a consumer that nobody listens to.
const entriesInactive = 5 * time.Second

var errMissed = errors.New("entries were missed")

// entries is a consumer of a bucket: an ephemeral one, in the memory of one server, that sends the newest entry of each key
// and then each change. When it has nothing to send it says so every followBeat, with the number of its last message. (A
// watch of the client library says so every 5 s, and the library takes 10 s to notice that its consumer is gone.)
type entries struct {
	bucket   string
	messages chan *nats.Msg
	quit     chan struct{}
	ended    chan struct{} // closed when nothing is put into messages any more
	sub      *nats.Subscription
	forget   func() // tells the server that the consumer is not needed

	first    uint64 // so many entries at first
	taken    uint64 // so many have been taken
	synced   bool   // all that there were at first have been taken
	revision uint64 // of the entry taken last
}

func bucketStream(bucket string) string { return "KV_" + bucket }

func entryPrefix(bucket string) string { return "$KV." + bucket + "." }

// openEntries asks the server for a consumer of a bucket.
func openEntries(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, bucket string) (*entries, error) {
	c := &entries{bucket: bucket, messages: make(chan *nats.Msg), quit: make(chan struct{}), ended: make(chan struct{}), forget: func() {}}
	var err error
	inbox := nc.NewInbox()
	if c.sub, err = nc.Subscribe(inbox, c.receive); err != nil {
		return nil, err
	}
	c.sub.SetClosedHandler(func(string) { close(c.ended) })
	consumer, err := js.CreatePushConsumer(ctx, bucketStream(bucket), jetstream.ConsumerConfig{
		DeliverSubject: inbox, FilterSubject: entryPrefix(bucket) + ">", DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, AckPolicy: jetstream.AckNonePolicy,
		IdleHeartbeat: followBeat, InactiveThreshold: entriesInactive, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		c.end()
		return nil, err
	}
	info := consumer.CachedInfo()
	c.first = info.NumPending
	c.forget = func() {
		if nc.IsConnected() { // nobody waits for the answer: the server forgets it soon anyway
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

// end ends the consumer. Nothing is left behind when it returns.
func (c *entries) end() {
	close(c.quit)
	_ = c.sub.Unsubscribe() // fails only on a closed connection, which ends it too
	<-c.ended
	c.forget()
}

// take passes a message of the consumer on to fn: an entry, or nothing. It returns an error if one before it was missed.
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
			bucket: c.bucket, key: key, value: m.Data, revision: meta.Sequence.Stream, created: meta.Timestamp, delta: meta.NumPending, op: operation(m.Header),
		})
	}
	if c.taken >= c.first || meta.NumPending == 0 { // of what there was at first, some may have been replaced since
		c.sync(fn)
	}
	return nil
}

// sync says, once, that all that there was at first has been taken.
func (c *entries) sync(fn func(jetstream.KeyValueEntry)) {
	if !c.synced {
		c.synced = true
		fn(nil)
	}
}

// beat tells whether a message says that there is nothing to send, and the number of the last that was sent.
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
