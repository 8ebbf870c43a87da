package consume

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	feedHeartbeat  = 500 * time.Millisecond // twice that in silence, and the consumer is taken for dead
	feedExpiry     = 5 * time.Second
	feedInactive   = 10 * time.Second // then the server forgets a consumer from which nothing is pulled
	feedDeleteTime = time.Second
	// feedAnswerTime is how long a question of the log may take. In a cluster it may be lost with the server that it went to,
	// and be answered at once by the one that takes its place.
	feedAnswerTime = 2 * time.Second
)

// reader is an ordered consumer: an ephemeral one in the server's memory. It is not left to recover by itself: after an
// interruption the log may have lost its tail, so it is opened anew, and its user looks whether the messages known are still there.
type reader struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	stream   string
	consumer jetstream.Consumer
	consume  jetstream.ConsumeContext
}

// read reads a stream's messages of some subjects, from a sequence on, or from the first one if it is 0. shards is the number of
// the log's shards, which bounds what is under way. What comes after a failure may lie behind a hole.
func read(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, stream string, subjects []string, from uint64, shards int,
	deliver func(jetstream.Msg), fail func(error)) (*reader, error) {
	r := &reader{nc: nc, js: js, stream: stream}
	cfg := jetstream.OrderedConsumerConfig{
		FilterSubjects:    subjects,
		DeliverPolicy:     jetstream.DeliverAllPolicy,
		InactiveThreshold: feedInactive,
		MaxResetAttempts:  1,
	}
	if from > 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, from
	}
	ctx, cancel := context.WithTimeout(ctx, feedAnswerTime)
	defer cancel()
	var err error
	if r.consumer, err = js.OrderedConsumer(ctx, stream, cfg); err != nil {
		return nil, err
	}
	r.consume, err = r.consumer.Consume(deliver, jetstream.PullMaxMessagesWithBytesLimit(pullLimits(shards)), jetstream.PullExpiry(feedExpiry),
		jetstream.PullHeartbeat(feedHeartbeat), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { fail(err) }))
	if err != nil {
		return nil, err
	}
	return r, nil
}

// close ends the consumer. Nothing is delivered after it.
func (r *reader) close() {
	r.consume.Stop()
	<-r.consume.Closed()
	ctx, cancel := context.WithTimeout(context.Background(), feedDeleteTime)
	defer cancel()
	if r.nc.IsConnected() {
		_ = r.js.DeleteConsumer(ctx, r.stream, r.consumer.CachedInfo().Name) // else the server forgets it soon
	}
}

// feed delivers a shard's messages in order, from a given one on, or ends with an error. While the shard shares a feed with
// others (seat) its own one is closed.
type feed struct {
	nc         *nats.Conn
	js         jetstream.JetStream
	stream     string
	subject    string // of the shard in it
	reader     *reader
	reconnects uint64

	messages chan message // cap 1: the client's buffer, bounded by pullLimits, reads ahead
	quit     chan struct{}
	broken   chan struct{} // closed at the first failure
	breaking sync.Once
	failure  error // set before broken is closed

	mu      sync.Mutex // guards what follows
	closed  bool
	pending uint64 // messages of the shard behind the newest one delivered
	held    uint64 // messages delivered and not settled
	seat    *taker // in a shared feed, or nil
}

// open opens the log of a shard at a stream sequence, or at its first message if from is 0.
func open(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, app string, e topology.Epoch, shard int, from uint64) (*feed, error) {
	f := &feed{
		nc: nc, js: js, reconnects: nc.Stats().Reconnects,
		stream: topology.StreamName(app, e.Epoch, e.Lane(shard)), subject: topology.WorkSubject(app, e.Epoch, e.Lane(shard), shard),
		messages: make(chan message, 1), broken: make(chan struct{}), quit: make(chan struct{}),
	}
	var err error
	f.reader, err = read(ctx, nc, js, f.stream, []string{f.subject}, from, e.Shards, f.deliver, f.fail)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%w: stream %s of shard %d is gone: restore it", errGap, f.stream, shard)
	}
	if err != nil {
		return nil, fmt.Errorf("open the log of shard %d: %w", shard, err)
	}
	return f, nil
}

// messageOf reads a message, and how many of its consumer's wait behind it.
func messageOf(m jetstream.Msg) (_ message, pending uint64, err error) {
	meta, err := m.Metadata()
	if err != nil {
		return message{}, 0, fmt.Errorf("message without its place in the log: %w", err)
	}
	return message{seq: meta.Sequence.Stream, time: meta.Timestamp, header: m.Headers(), data: m.Data()}, meta.NumPending, nil
}

func (f *feed) deliver(msg jetstream.Msg) {
	m, pending, err := messageOf(msg)
	if err != nil {
		f.fail(err)
		return
	}
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return
	}
	f.pending = pending
	f.held++
	f.mu.Unlock()
	select {
	case f.messages <- m:
	case <-f.quit:
	}
}

// fail ends the feed. What is delivered afterwards may lie behind a hole.
func (f *feed) fail(err error) {
	select {
	case <-f.quit:
		return
	default:
	}
	f.breaking.Do(func() {
		f.failure = fmt.Errorf("%w: %w", errInterrupted, err)
		close(f.broken)
	})
}

// err is why the feed has ended, or nil while it has delivered every message.
func (f *feed) err() error {
	select {
	case <-f.broken:
		return f.failure
	default:
	}
	if f.nc.Stats().Reconnects != f.reconnects {
		return errInterrupted
	}
	return nil
}

// settle says that n messages more are committed.
func (f *feed) settle(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held -= uint64(n)
}

// hold says that a message was taken from a shared feed.
func (f *feed) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held++
}

// lag is the number of messages that are not committed. Those that a shared feed has yet to deliver count for each of its
// shards: at the log's tip they are few.
func (f *feed) lag() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pending + f.held + f.seat.backlog()
}

// moved says that the shard now takes its messages from its seat alone, and that it holds none of its own feed.
func (f *feed) moved(to *taker) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed, f.pending, f.held, f.seat = true, 0, 0, to
	close(f.quit)
}

// at returns the message that the stream has at a sequence, of whatever shard, or nil.
func (f *feed) at(ctx context.Context, seq uint64) (m *jetstream.RawStreamMsg, err error) {
	ctx, cancel := context.WithTimeout(ctx, feedAnswerTime)
	defer cancel()
	m, err = topology.MessageAt(ctx, f.js, f.stream, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at message %d of stream %s: %w", seq, f.stream, err)
	}
	return m, nil
}

// info is the stream as it is now, and whose it is.
func (f *feed) info(ctx context.Context) (state jetstream.StreamState, topologyID string, err error) {
	ctx, cancel := context.WithTimeout(ctx, feedAnswerTime)
	defer cancel()
	s, err := f.js.Stream(ctx, f.stream)
	if err != nil {
		return state, "", fmt.Errorf("look at stream %s: %w", f.stream, err)
	}
	return s.CachedInfo().State, topology.StreamOwner(s.CachedInfo().Config), nil
}

// close ends the feed and its consumer.
func (f *feed) close() {
	f.mu.Lock()
	closed := f.closed
	f.closed = true
	f.mu.Unlock()
	if !closed {
		close(f.quit)
		f.reader.close()
	}
}

// errGap means that log and store do not fit together: going on would skip or repeat events.
var errGap = errors.New("log and store do not fit together")
