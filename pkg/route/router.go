// Package route takes frames and plain events, and stores them in the logs of their keys' shards. Any number of routers
// share the work; none keeps anything that must survive. A router acknowledges only under a valid lease, for what was
// stored within one term of it.
package route

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	queueGroup    = "router"
	maxSessionAge = 12 * time.Hour
	// minPayload is what the server must allow in one message: the largest event, as a batch of its own.
	minPayload = frame.MaxEventBytes + 16<<10
)

// Config is how a Router works.
type Config struct {
	App      string
	Initial  topology.Initial // used if there is no topology yet
	MaxBytes int              // gathering or being stored; default 64 MiB. More is refused
	Log      *slog.Logger
	Metrics  prometheus.Registerer
}

// Router routes events to shards.
type Router struct {
	cfg     Config
	nc      *nats.Conn
	js      jetstream.JetStream
	id      string
	metrics *metrics

	lease   *topology.Lease
	watcher *topology.Watcher
	log     *logWriter
	subs    []*nats.Subscription
	drained sync.WaitGroup // until the subscriptions' callbacks have ended
	view    frame.Frame    // of the frame at hand; only the frame subscription's goroutine uses it

	mu      sync.Mutex // guards what follows
	gather  *gather
	plain   int // plain events being stored, in bytes
	closing bool
	started bool
	idle    chan struct{} // closed when nothing is under way; nil if nobody waits

	quit     chan struct{}
	done     sync.WaitGroup
	stopping sync.Once
	stopped  error
}

// New makes a Router.
func New(nc *nats.Conn, cfg Config) (*Router, error) {
	if err := topology.CheckApp(cfg.App); err != nil {
		return nil, err
	}
	if err := cfg.Initial.Validate(); err != nil {
		return nil, err
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 64 << 20
	}
	if cfg.MaxBytes < minPayload {
		return nil, fmt.Errorf("router: MaxBytes %d: must be at least %d", cfg.MaxBytes, minPayload)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("router: %w", err)
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id)
	return &Router{cfg: cfg, nc: nc, js: js, id: hex.EncodeToString(id), metrics: newMetrics(cfg.App, cfg.Metrics), quit: make(chan struct{})}, nil
}

// Start opens the topology, creating it if there is none, takes a lease, and listens.
func (r *Router) Start(ctx context.Context) error {
	if payload := r.nc.MaxPayload(); payload < minPayload {
		return fmt.Errorf("NATS allows messages of %d bytes only; a router needs %d: raise max_payload", payload, minPayload)
	}
	_, kv, err := topology.Open(ctx, r.js, r.cfg.App, r.cfg.Initial, r.cfg.Log)
	if err != nil {
		return err
	}
	r.lease = topology.NewLease(kv, r.id, r.cfg.Log)
	if r.watcher, err = topology.Watch(ctx, r.nc, kv, r.lease, r.cfg.Log); err != nil {
		return err
	}
	if r.log, err = newLogWriter(r.nc); err != nil {
		r.watcher.Stop()
		return err
	}
	if err = r.follow(); err == nil {
		err = r.lease.Start(ctx, func() uint64 { return r.watcher.Current().Current().Epoch })
	}
	if err == nil {
		err = r.listen()
	}
	r.mu.Lock()
	r.started = true
	r.mu.Unlock()
	if err != nil {
		_ = r.Stop(ctx)
		return err
	}
	r.done.Add(1)
	go r.run()
	return nil
}

func (r *Router) listen() error {
	for _, s := range []struct {
		subject string
		fn      nats.MsgHandler
	}{
		{topology.FrameSubject(r.cfg.App), r.takeFrame},
		{topology.EventSubject(r.cfg.App) + ".>", r.takeEvent},
	} {
		sub, err := r.nc.QueueSubscribe(s.subject, queueGroup, s.fn)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", s.subject, err)
		}
		r.drained.Add(1)
		sub.SetClosedHandler(func(string) { r.drained.Done() })
		_ = sub.SetPendingLimits(64<<10, r.cfg.MaxBytes)
		r.subs = append(r.subs, sub)
	}
	return r.nc.Flush()
}

// run follows the topology.
func (r *Router) run() {
	defer r.done.Done()
	for {
		changed := r.watcher.Changed()
		if err := r.follow(); err != nil {
			r.cfg.Log.Error("topology cannot be followed", "error", err)
		}
		select {
		case <-changed:
		case <-r.quit:
			return
		}
	}
}

// follow makes the ring of the current epoch, if it is another one than we have.
func (r *Router) follow() error {
	epoch := r.watcher.Current().Current()
	r.mu.Lock()
	same := r.gather != nil && r.gather.epoch == epoch.Epoch
	r.mu.Unlock()
	if same {
		return nil
	}
	ring, err := epoch.Ring()
	if err != nil {
		return fmt.Errorf("ring of epoch %d: %w", epoch.Epoch, err)
	}
	maxBatch := int(min(r.nc.MaxPayload(), 1<<20)) - 4<<10
	g := newGather(epoch.Epoch, epoch.Shards, ring.ShardBytes, maxBatch, r.cfg.MaxBytes)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gather = g // what gathered for the epoch before is sent again by its publishers
	r.metrics.shards.Set(float64(epoch.Shards))
	r.cfg.Log.Info("routing", "epoch", epoch.Epoch, "shards", epoch.Shards, "lanes", epoch.Lanes)
	return nil
}

// takeFrame routes one frame.
func (r *Router) takeFrame(m *nats.Msg) {
	if err := r.view.Decode(m.Data); err != nil {
		r.refuse(m.Reply, frame.Refusal(err))
		return
	}
	term, valid := r.lease.Valid()
	if !valid {
		r.refuse(m.Reply, frame.Answer{Code: frame.Closing, Reason: "this router has no valid lease", Retry: true})
		return
	}
	if age := r.lease.BrokerTime().Sub(r.view.Session.BirthTime()); age > maxSessionAge || age < -maxSessionAge {
		r.refuse(m.Reply, frame.Answer{Code: frame.SessionTooOld, Reason: fmt.Sprintf(
			"session was born %s from the broker's time, at most %s are allowed: is the publisher's clock off?", age.Round(time.Second), maxSessionAge)})
		return
	}
	var buf [16]*batch
	r.mu.Lock()
	closing, g := r.closing, r.gather
	leave, ok := buf[:0], false
	if !closing {
		leave, ok = g.add(&r.view, m.Reply, term, leave)
	}
	r.mu.Unlock()
	switch {
	case closing:
		r.refuse(m.Reply, frame.Answer{Code: frame.Closing, Reason: "this router is stopping", Retry: true})
	case !ok:
		r.refuse(m.Reply, frame.Answer{Code: frame.Busy, Reason: fmt.Sprintf("this router holds %d bytes already", r.cfg.MaxBytes), Retry: true})
	default:
		r.metrics.frames.Inc()
		r.metrics.events.Add(float64(len(r.view.Events)))
		for _, b := range leave {
			r.store(g, b)
		}
	}
}

// store publishes a batch, and then the shard's next ones.
func (r *Router) store(g *gather, b *batch) {
	if term, valid := r.lease.Valid(); !valid || term != b.term {
		r.ended(g, b, errNoLease)
		return
	}
	epoch, ok := r.watcher.Current().Epoch(b.epoch)
	if !ok {
		r.ended(g, b, errNoLease)
		return
	}
	m := &nats.Msg{Subject: topology.WorkSubject(r.cfg.App, b.epoch, epoch.Lane(b.shard), b.shard), Data: b.data}
	b.data = nil
	begun := time.Now()
	r.log.store(m, func(_ []byte, err error) {
		r.metrics.store.Observe(time.Since(begun).Seconds())
		r.ended(g, b, err)
	})
}

var errNoLease = errors.New("this router's lease has run out")

// ended answers the frames of which all is stored now, or that cannot be.
func (r *Router) ended(g *gather, b *batch, err error) {
	var buf [8]*pending
	r.mu.Lock()
	var answer []*pending
	var next *batch
	if err == nil {
		answer, next = g.stored(b, buf[:0])
	} else {
		answer, next = g.failed(b, buf[:0])
	}
	r.signal()
	r.mu.Unlock()
	if next != nil {
		r.store(g, next)
	}
	if err != nil {
		for _, p := range answer {
			r.refuse(p.reply, logRefusal(err))
		}
		return
	}
	r.metrics.batches.Inc()
	r.metrics.batchEvents.Observe(float64(b.events))
	// What JetStream confirms after the lease has run out, or in another term of it, is told to nobody: an epoch may have
	// ended in between, and the message may lie behind its end. The publisher sends again.
	term, valid := r.lease.Valid()
	for _, p := range answer {
		if !valid || term != p.term {
			r.metrics.unlawful.Inc()
			continue
		}
		r.reply(p.reply, nil)
	}
}

// logRefusal tells a publisher why its frame is not known to be stored. It may always try again.
func logRefusal(err error) frame.Answer {
	a := frame.Answer{Code: frame.LogError, Reason: err.Error(), Retry: true}
	var refused *logError
	switch {
	case errors.Is(err, errNoLease), errors.Is(err, errStopped):
		a.Code = frame.Closing
	case errors.As(err, &refused) && refused.full():
		a.Code = frame.LogFull
	}
	return a
}

func (r *Router) refuse(reply string, a frame.Answer) {
	r.metrics.refused.WithLabelValues(a.Code.String()).Inc()
	r.cfg.Log.Debug("frame refused", "code", a.Code, "reason", a.Reason)
	r.reply(reply, a.Append(nil))
}

func (r *Router) reply(to string, data []byte) {
	if to == "" {
		return
	}
	if err := r.nc.Publish(to, data); err != nil { // the publisher sends again
		r.cfg.Log.Debug("answer not sent", "error", err)
	}
}

// signal wakes Stop when nothing is under way.
func (r *Router) signal() {
	if r.idle != nil && (r.gather == nil || r.gather.empty()) && r.plain == 0 {
		close(r.idle)
		r.idle = nil
	}
}

// Ready returns an error if the router cannot take events now.
func (r *Router) Ready() error {
	r.mu.Lock()
	started, closing := r.started, r.closing
	r.mu.Unlock()
	if !started || closing {
		return errors.New("not listening")
	}
	if _, valid := r.lease.Valid(); !valid {
		return errNoLease
	}
	return nil
}

// Stop takes no more, stores and answers what it has, and gives its lease up. When ctx ends it drops the rest, which
// publishers send again.
func (r *Router) Stop(ctx context.Context) error {
	r.mu.Lock()
	started := r.started
	r.mu.Unlock()
	if !started {
		return nil
	}
	r.stopping.Do(func() { r.stopped = r.stop(ctx) })
	return r.stopped
}

func (r *Router) stop(ctx context.Context) error {
	// In this order: others take new frames; ours are stored and answered; then the lease goes.
	for _, s := range r.subs {
		if err := s.Drain(); err != nil {
			_ = s.Unsubscribe()
		}
	}
	drained := make(chan struct{})
	go func() { r.drained.Wait(); close(drained) }()
	select {
	case <-drained:
	case <-ctx.Done():
	}
	err := r.wait(ctx)
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	if err == nil {
		err = r.nc.FlushTimeout(time.Second) // the last answers
	}
	for _, s := range r.subs {
		_ = s.Unsubscribe()
	}
	<-drained
	close(r.quit)
	r.done.Wait()
	r.lease.Stop(ctx)
	r.watcher.Stop()
	r.log.close()
	return err
}

// wait waits until nothing is under way.
func (r *Router) wait(ctx context.Context) error {
	idle := make(chan struct{})
	r.mu.Lock()
	r.idle = idle
	r.signal()
	r.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("router stopped before all it had was stored: %w", ctx.Err())
	}
}
