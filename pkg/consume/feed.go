package consume

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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

// feed delivers a shard's messages in order, from a given one on, or ends with an error. It is an ordered consumer: an
// ephemeral one in the server's memory. It is not left to recover by itself: after an interruption the log may have lost
// its tail, so the owner opens it anew and looks whether the message it has committed is still there.
type feed struct {
	nc         *nats.Conn
	js         jetstream.JetStream
	stream     string
	subject    string // of the shard in it
	consumer   jetstream.Consumer
	reconnects uint64

	messages chan message // cap 1: the client's buffer, bounded by pullLimits, reads ahead
	quit     chan struct{}
	broken   chan struct{} // closed at the first failure
	breaking sync.Once
	failure  error // set before broken is closed
	consume  jetstream.ConsumeContext

	mu      sync.Mutex // guards what follows
	pending uint64     // messages of the shard behind the newest one delivered
	held    uint64     // messages delivered and not settled
}

// open opens the log of a shard at a stream sequence, or at its first message if from is 0.
func open(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, app string, e topology.Epoch, shard int, from uint64) (*feed, error) {
	f := &feed{
		nc: nc, js: js, reconnects: nc.Stats().Reconnects,
		stream: topology.StreamName(app, e.Epoch, e.Lane(shard)), subject: topology.WorkSubject(app, e.Epoch, e.Lane(shard), shard),
		messages: make(chan message, 1), broken: make(chan struct{}), quit: make(chan struct{}),
	}
	cfg := jetstream.OrderedConsumerConfig{
		FilterSubjects:    []string{f.subject},
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
	f.consumer, err = js.OrderedConsumer(ctx, f.stream, cfg)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%w: stream %s of shard %d is gone: restore it", errGap, f.stream, shard)
	}
	if err != nil {
		return nil, fmt.Errorf("open the log of shard %d: %w", shard, err)
	}
	f.consume, err = f.consumer.Consume(f.deliver, jetstream.PullMaxMessagesWithBytesLimit(pullLimits(e.Shards)), jetstream.PullExpiry(feedExpiry),
		jetstream.PullHeartbeat(feedHeartbeat), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { f.fail(err) }))
	if err != nil {
		return nil, fmt.Errorf("open the log of shard %d: %w", shard, err)
	}
	return f, nil
}

func (f *feed) deliver(m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		f.fail(fmt.Errorf("message without its place in the log: %w", err))
		return
	}
	f.mu.Lock()
	f.pending = meta.NumPending
	f.held++
	f.mu.Unlock()
	select {
	case f.messages <- message{seq: meta.Sequence.Stream, time: meta.Timestamp, header: m.Headers(), data: m.Data()}:
	case <-f.quit:
	}
}

// arrived takes a message that has arrived. The client hands over one at a time, and must run to do so: without yielding to
// it a round out of a long backlog would be of two messages.
func (f *feed) arrived() (message, bool) {
	for range 3 {
		select {
		case m := <-f.messages:
			return m, true
		default:
			runtime.Gosched()
		}
	}
	return message{}, false
}

// fail ends the feed. What is delivered afterwards may lie behind a hole.
func (f *feed) fail(err error) {
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

// lag is the number of messages that are not committed.
func (f *feed) lag() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pending + f.held
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
	close(f.quit)
	f.consume.Stop()
	<-f.consume.Closed()
	ctx, cancel := context.WithTimeout(context.Background(), feedDeleteTime)
	defer cancel()
	if f.nc.IsConnected() {
		_ = f.js.DeleteConsumer(ctx, f.stream, f.consumer.CachedInfo().Name) // else the server forgets it soon
	}
}

// errGap means that log and store do not fit together: going on would skip or repeat events.
var errGap = errors.New("log and store do not fit together")
