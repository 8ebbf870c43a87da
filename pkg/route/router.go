// Package route is the router: it takes frames, plain events and operators' commands, and stores them in the logs of their keys' shards. Any number
// of routers share the work; none keeps anything that must survive. A router acknowledges only under a valid permit, and only
// events that arrived and were stored within one term of it.
package route

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/internal/gather"
	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/route/permit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	queueGroup    = "router"
	listenTimeout = 10 * time.Second // for the server to know of our subscriptions
	lastAnswers   = time.Second      // for it to take our last answers
	// MinMaxBytes is the least Config.MaxBytes: room for the largest event.
	MinMaxBytes = minPayload
	// minPayload is what the server must allow in one message: the largest event, as a batch of its own.
	minPayload = frame.MaxEventBytes + 16<<10
)

// Config is how a Router works.
type Config struct {
	App      string
	Initial  topology.Initial // used if there is no topology yet
	MaxBytes int              // of events that gather or are in flight; default 64 MiB. More is refused
	Log      *slog.Logger
	Metrics  prometheus.Registerer
}

// Router routes events to shards.
type Router struct {
	cfg     Config
	nc      *nats.Conn
	js      jetstream.JetStream
	id      string
	own     string // subject of this router alone
	metrics *metrics

	permit  *permit.Permit
	watcher *topology.Watcher
	log     *logWriter
	subs    []*nats.Subscription
	drained sync.WaitGroup // until the subscriptions' callbacks have ended

	mu      sync.Mutex // guards what follows
	gather  *gather.Gather
	closing bool
	ready   bool
	idle    chan struct{} // closed when no event is held; nil unless wait waits

	once   *lifecycle.Once
	quit   chan struct{}
	failed chan error // cap 1
	done   sync.WaitGroup
}

// New makes a Router.
func New(nc *nats.Conn, cfg Config) (*Router, error) {
	if err := appname.Check(cfg.App); err != nil {
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
	r := &Router{
		cfg: cfg, nc: nc, js: js, id: hex.EncodeToString(id), metrics: newMetrics(cfg.App, cfg.Metrics),
		quit: make(chan struct{}), failed: make(chan error, 1),
	}
	r.own = topology.RouterSubject(cfg.App, r.id)
	r.once = lifecycle.NewOnce("router", r.start, r.stop)
	return r, nil
}

// Start opens the topology, or creates it if there is none, takes a permit, and listens.
func (r *Router) Start(ctx context.Context) error { return r.once.Start(ctx) }

func (r *Router) start(ctx context.Context) error {
	if payload := r.nc.MaxPayload(); payload < minPayload {
		return fmt.Errorf("NATS allows messages of %d bytes only; a router needs %d: raise max_payload", payload, minPayload)
	}
	_, kv, err := topology.Open(ctx, r.js, r.cfg.App, r.cfg.Initial, r.cfg.Log)
	if err != nil {
		return err
	}
	if r.permit, r.watcher, err = permit.New(ctx, r.nc, kv, r.id, r.cfg.Log); err != nil {
		return err
	}
	r.warnOfForeignStreams(ctx)
	if r.log, err = newLogWriter(r.nc, r.leaderOf, r.cfg.Log); err != nil {
		return err
	}
	if err = r.follow(); err != nil {
		return err
	}
	if err = r.permit.Start(ctx); err != nil {
		return err
	}
	if err = r.listen(ctx); err != nil {
		return err
	}
	r.done.Add(2)
	go r.run()
	go r.failOver()
	r.mu.Lock()
	r.ready = true
	r.mu.Unlock()
	return nil
}

// listen subscribes to frames, events and commands. The router's own subject comes first, for every answer names it.
func (r *Router) listen(ctx context.Context) error {
	for _, s := range []struct {
		subject, queue string
		fn             nats.MsgHandler
	}{
		{r.own, "", unlessOverloaded(r.framesOf(), r.shedFrame)},
		{topology.FrameSubject(r.cfg.App), queueGroup, unlessOverloaded(r.framesOf(), r.shedFrame)},
		{topology.EventSubject(r.cfg.App) + ".>", queueGroup, unlessOverloaded(r.takeEvent, r.shed(frame.KindEvent))},
		{topology.CommandSubject(r.cfg.App), queueGroup, unlessOverloaded(r.takeCommand, r.shed(frame.KindCommand))},
	} {
		sub, err := r.nc.QueueSubscribe(s.subject, s.queue, s.fn)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", s.subject, err)
		}
		r.drained.Add(1)
		sub.SetClosedHandler(func(string) { r.drained.Done() })
		_ = sub.SetPendingLimits(maxWaiting, maxWaitingBytes)
		r.subs = append(r.subs, sub)
	}
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	if err := r.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// run follows the topology until the router stops or must be restarted.
func (r *Router) run() {
	defer r.done.Done()
	for {
		changed := r.watcher.Changed()
		if err := r.follow(); err != nil {
			r.cfg.Log.Error("cannot route by the new topology", "error", err)
		}
		select {
		case <-changed:
		case <-r.watcher.Replaced():
			r.failed <- cmp.Or(r.watcher.Err(), topology.ErrReplaced)
			return
		case <-r.quit:
			return
		}
	}
}

// Failed receives an error when the router must be restarted.
func (r *Router) Failed() <-chan error { return r.failed }

// follow begins to gather for the current epoch, unless it does so already.
func (r *Router) follow() error {
	epoch := r.watcher.Current().Current()
	r.mu.Lock()
	same := r.gather != nil && r.gather.Epoch() == epoch.Epoch
	r.mu.Unlock()
	if same {
		return nil
	}
	ring, err := epoch.Ring()
	if err != nil {
		return fmt.Errorf("ring of epoch %d: %w", epoch.Epoch, err)
	}
	maxBatch := int(min(r.nc.MaxPayload(), 1<<20)) - 4<<10
	g := gather.New(epoch.Epoch, epoch.Shards, ring.ShardBytes, maxBatch, r.cfg.MaxBytes)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gather = g // publishers send again what gathered for the previous epoch
	r.metrics.shards.Set(float64(epoch.Shards))
	r.cfg.Log.Info("routing", "epoch", epoch.Epoch, "shards", epoch.Shards, "lanes", epoch.Lanes)
	return nil
}

// Ready returns an error if the router cannot take events now.
func (r *Router) Ready() error {
	r.mu.Lock()
	ready, closing := r.ready, r.closing
	r.mu.Unlock()
	if !ready || closing {
		return errors.New("not listening")
	}
	if _, valid := r.permit.Valid(); !valid {
		return r.noPermit()
	}
	return nil
}

// noPermit says why this router may not acknowledge.
func (r *Router) noPermit() error {
	if err := r.watcher.Err(); err != nil {
		return fmt.Errorf("this router has let its permit go: %w", err)
	}
	return errNoPermit
}
