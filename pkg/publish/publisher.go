package publish

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/internal/failover"
	"example.com/lockstep/pkg/internal/window"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
)

// Bounds on queued answers and receipts: a slow callback of the application must not grow memory. After a dropped answer the
// frame is sent and answered again; a dropped receipt is lost.
const (
	maxPendingAnswers = 64 << 10
	maxPendingBytes   = 16 << 20
)

// Publisher sends events. It is safe for concurrent use; events of one key are applied in the order of the calls.
type Publisher struct {
	nc    *nats.Conn
	cfg   Config
	id    frame.PublisherID
	inbox string
	asked *asked // events that wait for a receipt

	mu      sync.Mutex // guards what follows, and the handles
	w       *window.Window
	routers *routers
	outage  failover.Outage
	silence silence
	started bool
	closed  bool
	room    []waiter      // for room
	idle    chan struct{} // closed when nothing is outstanding; nil if no Flush waits
	wakesAt time.Time     // when run wakes by itself

	unsubscribed bool      // by us
	lost         bool      // the connection is closed for good
	server       string    // of the connection, when it was last connected
	unsent       error     // why the connection did not take the last attempt; nil if it did
	foreignAt    time.Time // when an answer that no router gave was last logged

	ended     []*Handle // not yet reported
	reporting bool

	kick    chan struct{}
	quit    chan struct{}
	quitted sync.Once
	done    chan struct{}
	subs    []*nats.Subscription
	status  chan nats.Status // CONNECTED, at each reconnect
	closing sync.WaitGroup   // until reap, watchConnection and the subscriptions' callbacks have ended
}

// waiter waits for room for an event of a size.
type waiter struct {
	size int
	room chan struct{} // closed when there is
}

// New makes a Publisher. Start it before use.
func New(nc *nats.Conn, cfg Config) (*Publisher, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Publisher{
		nc: nc, cfg: cfg, inbox: nc.NewInbox(), routers: newRouters(topology.FrameSubject(cfg.App)), asked: newAsked(),
		kick: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	if !topology.MayAnswer(cfg.App, p.inbox) {
		return nil, fmt.Errorf("publisher: routers of app %s do not answer to %s: give the connection another inbox prefix", cfg.App, p.inbox)
	}
	_, _ = rand.Read(p.id[:])
	p.w = window.New(window.Limits{Events: cfg.MaxEvents, Bytes: cfg.MaxBytes, Timeout: cfg.DeliveryTimeout},
		frame.Session{Publisher: p.id, Generation: 1, Birth: time.Now().UnixMilli()})
	return p, nil
}

// ID is the publisher's random id.
func (p *Publisher) ID() frame.PublisherID { return p.id }

// Start begins to send.
func (p *Publisher) Start(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if p.started {
		return errors.New("publisher is already started")
	}
	subscribe := func(subject string, fn nats.MsgHandler) error {
		sub, err := p.nc.Subscribe(subject, fn)
		if err != nil {
			return fmt.Errorf("start publisher: %w", err)
		}
		p.subs = append(p.subs, sub)
		_ = sub.SetPendingLimits(maxPendingAnswers, maxPendingBytes)
		p.closing.Add(1)
		sub.SetClosedHandler(func(string) {
			p.deaf()
			p.closing.Done()
		})
		return nil
	}
	if err := subscribe(p.inbox+".*", p.answered); err != nil {
		return err
	}
	if p.cfg.OnReceipt != nil {
		if err := subscribe(topology.ReceiptSubject(p.cfg.App, p.id.String()), p.receipted); err != nil {
			p.unsubscribe()
			return err
		}
	}
	p.started = true
	p.status = p.nc.StatusChanged(nats.CONNECTED)
	p.server = p.nc.ConnectedUrlRedacted()
	go p.run()
	p.closing.Go(p.reap)
	p.closing.Go(p.watchConnection)
	return nil
}

func (p *Publisher) unsubscribe() {
	p.unsubscribed = true
	for _, s := range p.subs {
		if s.Unsubscribe() != nil { // the connection is closed, and with it the subscription
			continue
		}
	}
	p.subs = nil
}

// WaitRoom waits until an eighth of the window is free.
func (p *Publisher) WaitRoom(ctx context.Context) error { return p.waitRoom(ctx, 0) }

func (p *Publisher) waitRoom(ctx context.Context, size int) error {
	p.mu.Lock()
	if err := p.takesNone(); err != nil {
		p.mu.Unlock()
		return err
	}
	if p.roomy(size) {
		p.mu.Unlock()
		return ctx.Err()
	}
	room := make(chan struct{})
	p.room = append(p.room, waiter{size, room})
	p.mu.Unlock()
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		p.room = slices.DeleteFunc(p.room, func(w waiter) bool { return w.room == room })
		return ctx.Err()
	}
}

// Flush waits until every event sent so far is resolved, whatever its outcome.
func (p *Publisher) Flush(ctx context.Context) error {
	p.mu.Lock()
	if p.w.Outstanding() == 0 && len(p.ended) == 0 && !p.reporting {
		p.mu.Unlock()
		return nil
	}
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	idle := p.idle
	p.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stop takes no more events, waits until those it has are resolved, and when ctx ends gives up the rest.
func (p *Publisher) Stop(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	started := p.started
	p.signal()
	p.mu.Unlock()
	if !started {
		return nil
	}
	err := p.Flush(ctx)
	p.quitted.Do(func() { close(p.quit) })
	<-p.done
	p.mu.Lock()
	p.unsubscribe()
	p.mu.Unlock()
	p.nc.RemoveStatusListener(p.status)
	p.closing.Wait()
	return err
}

func (p *Publisher) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// mustWake tells whether a frame may leave now, or before run wakes by itself.
func (p *Publisher) mustWake(now time.Time) bool {
	if p.w.MayLeave(now) {
		return true
	}
	at := p.w.RestsUntil(now)
	return !at.IsZero() && at.Before(p.wakesAt)
}

// run sends frames, sends unanswered frames again, and gives up those whose time is up.
func (p *Publisher) run() {
	defer close(p.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-p.kick:
		case <-timer.C:
		case <-p.quit:
			p.abandon(ErrClosed)
			return
		}
		now := time.Now()
		p.late(now)
		for p.sendNext(now) {
		}
		p.askGroup(now)
		p.mu.Lock()
		due := p.w.NextDue(now)
		if ask := p.routers.nextAsk(); due.IsZero() || !ask.IsZero() && ask.Before(due) {
			due = ask
		}
		if due.IsZero() {
			due = now.Add(time.Hour)
		}
		p.wakesAt = due
		p.mu.Unlock()
		timer.Reset(max(0, time.Until(due)))
	}
}

// sendNext sends the next frame, if one may leave.
func (p *Publisher) sendNext(now time.Time) bool {
	p.mu.Lock()
	f := p.w.Next(now)
	if f == nil {
		p.mu.Unlock()
		return false
	}
	for _, e := range f.Events {
		if h := handle(e); h.receipt && p.cfg.OnReceipt != nil {
			p.asked.add(e.Seq, h.Tag)
		}
	}
	a := p.attemptAt(f, now)
	p.mu.Unlock()
	p.send(a)
	return true
}

// askGroup sends an empty frame to the routers' group, if it is due, to see whether the group answers.
func (p *Publisher) askGroup(now time.Time) {
	p.mu.Lock()
	n, ask := p.routers.ask(now)
	p.mu.Unlock()
	if ask {
		p.send(attempt{subject: p.routers.group, reply: p.replyTo(askID, int(n)), frame: askID})
	}
}

// askID is the id of an ask. Frames have ids from 1.
const askID = 0

// attempt is a message to a router or to their group.
type attempt struct {
	subject, reply string
	data           []byte
	frame          uint64
	n              int // the attempt at the frame
}

// attemptAt is a frame's newest attempt.
func (p *Publisher) attemptAt(f *window.Frame, now time.Time) attempt {
	return attempt{subject: p.routers.send(f.ID, now), reply: p.replyTo(f.ID, f.Attempt), data: f.Data, frame: f.ID, n: f.Attempt}
}

// replyTo is the subject for the answer to an attempt.
func (p *Publisher) replyTo(frameID uint64, attempt int) string {
	return p.inbox + "." + strconv.FormatUint(frameID, 10) + "-" + strconv.Itoa(attempt)
}

// send gives an attempt to the connection. A frame that the connection does not take is sent again when it is due.
func (p *Publisher) send(a attempt) {
	err := p.nc.PublishRequest(a.subject, a.reply, a.data)
	if a.frame == askID {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unsent = err; notTaken(err) {
		p.w.NotTaken(a.frame, a.n)
	}
}

// notTaken tells whether an error means that nothing was written. Other errors may come in the middle of a write.
func notTaken(err error) bool {
	for _, known := range []error{nats.ErrConnectionClosed, nats.ErrConnectionDraining, nats.ErrReconnectBufExceeded, nats.ErrMaxPayload} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// signal wakes the calls that wait for room or for the end.
func (p *Publisher) signal() {
	p.room = slices.DeleteFunc(p.room, func(w waiter) bool {
		if p.takesNone() == nil && !p.roomy(w.size) {
			return false
		}
		close(w.room)
		return true
	})
	if p.idle != nil && p.w.Outstanding() == 0 && len(p.ended) == 0 && !p.reporting {
		close(p.idle)
		p.idle = nil
	}
}
