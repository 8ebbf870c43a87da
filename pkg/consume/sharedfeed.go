package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// seatMessages is how many messages may wait for one shard of a shared feed. Their bytes are bounded like those of a pull.
const seatMessages = 256

// shareRetryMax is the longest wait between two attempts to open a shared feed. Meanwhile shards go on with what they have.
const shareRetryMax = 10 * time.Second

// sharedFeeds are a worker's, one for each stream that it reads.
type sharedFeeds struct {
	nc    *nats.Conn
	js    jetstream.JetStream
	log   *slog.Logger
	waits *waits

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup // opens and closes feeds

	mu       sync.Mutex // guards what follows
	stopped  bool
	byStream map[string]*sharedFeed
}

func newSharedFeeds(nc *nats.Conn, js jetstream.JetStream, log *slog.Logger, w *waits) *sharedFeeds {
	s := &sharedFeeds{nc: nc, js: js, log: log, waits: w, byStream: make(map[string]*sharedFeed)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// stop is called when all shards have left their seats.
func (s *sharedFeeds) stop() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.cancel()
	s.work.Wait()
}

// start runs f, unless the worker stops.
func (s *sharedFeeds) start(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.work.Go(f)
	}
}

// ask asks for a seat in the shared feed of a shard's stream. The shard has taken all its messages up to last.
func (s *sharedFeeds) ask(stream, subject string, shards int, last mark) *taker {
	s.mu.Lock()
	f := s.byStream[stream]
	if f == nil {
		messages, bytes := pullLimits(shards)
		f = &sharedFeed{sharedFeeds: s, stream: stream, shards: shards, plan: newSharing(min(messages, seatMessages), bytes), readers: make(map[*span]*reader)}
		s.byStream[stream] = f
	}
	s.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &taker{of: f, seat: f.plan.ask(subject, last)}
	f.changed()
	return t
}

// sharedFeed is the feed that those of a worker's shards share that are at the tip of one log. What they take is decided by the
// type sharing; this is the shell that opens and closes consumers. Nothing that it does waits for a shard.
type sharedFeed struct {
	*sharedFeeds
	stream string
	shards int // of the log

	mu       sync.Mutex // guards what follows; no call to NATS is made under it
	plan     *sharing
	changing bool // a goroutine runs change
	readers  map[*span]*reader
}

// changed sees to it that the feed becomes what its shards want, in a while: changes often come in groups. f.mu is held.
func (f *sharedFeed) changed() {
	for sp, r := range f.readers {
		if sp != f.plan.now && sp != f.plan.next {
			delete(f.readers, sp)
			f.work.Go(r.close)
		}
	}
	if !f.changing && f.plan.due() != nil {
		f.changing = true
		f.start(f.change)
	}
}

// change opens feeds until the one at hand is what its shards want.
func (f *sharedFeed) change() {
	for wait := f.waits.share; ; {
		if sleep(f.ctx, nil, wait) {
			return
		}
		f.mu.Lock()
		sp := f.plan.plan()
		f.changing = sp != nil
		f.mu.Unlock()
		if sp == nil {
			return
		}
		if err := f.open(sp); err != nil {
			wait = min(2*wait, shareRetryMax)
			f.log.Debug("could not open a feed for several shards; they keep those that they have", "stream", f.stream, "again_in", wait, "error", err)
			continue
		}
		wait = f.waits.share
	}
}

// open opens a feed and waits for its first message.
func (f *sharedFeed) open(sp *span) (err error) {
	begun, broken := make(chan struct{}), make(chan error, 1)
	fail := func(err error) {
		f.broke(sp, err)
		select {
		case broken <- err:
		default:
		}
	}
	begin := sync.OnceFunc(func() { close(begun) })
	r, err := read(f.ctx, f.nc, f.js, f.stream, slices.Collect(maps.Keys(sp.subjects)), sp.from.seq, f.shards, func(msg jetstream.Msg) {
		if err := f.deliver(sp, msg); err != nil {
			fail(err)
			return
		}
		begin()
	}, fail)
	if err != nil {
		f.broke(sp, err)
		return err
	}
	f.mu.Lock()
	f.readers[sp] = r
	f.changed() // it may be over
	f.mu.Unlock()
	late := time.NewTimer(f.waits.place)
	defer late.Stop()
	select {
	case <-begun:
		return nil
	case err = <-broken:
	case <-f.ctx.Done():
		err = context.Cause(f.ctx)
	case <-late.C:
		err = fmt.Errorf("message %d did not come within %s", sp.from.seq, f.waits.place)
	}
	f.broke(sp, err)
	return err
}

func (f *sharedFeed) deliver(sp *span, msg jetstream.Msg) error {
	m, pending, err := messageOf(msg)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.plan.now
	err = f.plan.take(sp, msg.Subject(), m, pending)
	if f.plan.now != before {
		f.changed()
	}
	return err
}

func (f *sharedFeed) broke(sp *span, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan.broke(sp, why)
	f.changed()
}

// taker is a shard's side of its seat.
type taker struct {
	of   *sharedFeed
	seat *seat
}

// wake tells that there may be something new. nil: there is no seat.
func (t *taker) wake() <-chan struct{} {
	if t == nil {
		return nil
	}
	return t.seat.wake
}

// pop takes the shard's next message, if one has arrived.
func (t *taker) pop() (m message, ok bool) {
	if t == nil {
		return m, false
	}
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if _, err := t.state(); err != nil { // its messages may lie behind a hole, or be others by now
		return m, false
	}
	return t.seat.queue.pop()
}

// look tells whether the feed has reached the place of the shard, which then needs no other, and whether the seat has ended
// because the shard is slow. An error says that its messages cannot be relied on.
func (t *taker) look() (reached, full bool, err error) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	full, err = t.state()
	return t.seat.sits && t.seat.proven, full, err
}

func (t *taker) state() (full bool, err error) {
	switch ended := t.seat.ended; {
	case ended == nil:
		return false, nil
	case errors.Is(ended, errFull):
		return true, nil
	default:
		return false, fmt.Errorf("%w: %w", errInterrupted, ended)
	}
}

// err is why messages of the seat cannot be relied on, or nil.
func (t *taker) err() error {
	if t == nil {
		return nil
	}
	_, _, err := t.look()
	return err
}

// refresh tells how far the shard is, while it has a feed of its own.
func (t *taker) refresh(last mark) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.of.plan.refresh(t.seat, last)
	t.of.changed()
}

// leave gives the seat up.
func (t *taker) leave() {
	if t == nil {
		return
	}
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.of.plan.leave(t.seat)
	t.of.changed()
}

// backlog is the number of messages that wait for the shard, and of those that the feed has yet to deliver to any.
func (t *taker) backlog() uint64 {
	if t == nil {
		return 0
	}
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	n := uint64(t.seat.queue.len())
	if t.of.plan.now != nil {
		n += t.of.plan.now.pending
	}
	return n
}
