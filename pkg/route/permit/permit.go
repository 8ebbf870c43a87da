// Package permit is a router's right to acknowledge: an entry in the topology bucket that the router renews every 500 ms for
// 2 s. A renewal counts once the router's own watcher has delivered it. Permits and topologies lie in one stream and arrive in
// its order, so a router with a valid permit has seen every topology that was stored before the renewal.
package permit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Times of a permit.
const (
	TTL        = 2 * time.Second
	RenewEvery = 500 * time.Millisecond
	giveUpTime = time.Second // for the server to remove our entry
	askTime    = 100 * time.Millisecond
)

const entrySchema = 1

// entry is the value of a permit in the bucket.
type entry struct {
	Schema  int    `json:"schema"`
	Renewal uint64 `json:"renewal"` // 1, 2, 3 ...
	Epoch   uint64 `json:"epoch"`   // the router publishes into this epoch
	Closed  uint64 `json:"closed"`  // it has nothing in flight in this epoch or an older one, and will not again
}

// Permit is a router's permit. Its methods are safe for concurrent use.
type Permit struct {
	kv     jetstream.KeyValue
	id     string
	epoch  func() uint64         // into which the router publishes
	expect func(revision uint64) // tells the watcher that it must deliver this entry
	log    *slog.Logger
	born   time.Time
	wall   func() time.Time

	mu      sync.Mutex // guards what follows
	term    Term
	sent    map[uint64]Instant // by renewal
	last    uint64
	broker  Instant       // the broker's wall clock, and our monotonic one, when the newest renewal arrived
	first   chan struct{} // closed when the permit is valid for the first time
	taken   bool
	unread  error         // why the topology cannot be read: the permit is suspended; nil: it is not
	turned  chan struct{} // cap 1: unread has changed
	revoked bool          // the bucket is another topology's

	once   *lifecycle.Once
	cancel context.CancelFunc // ends the renewing
	done   sync.WaitGroup
}

// New makes a permit for the router id, and the Watcher of the topology through which its renewals come. The permit is valid
// once it was started. Stop the Watcher after it.
func New(ctx context.Context, nc *nats.Conn, kv jetstream.KeyValue, id string, log *slog.Logger) (*Permit, *topology.Watcher, error) {
	p := newPermit(kv, id, log)
	watcher, err := topology.Watch(ctx, nc, kv, p, log)
	if err != nil {
		return nil, nil, err
	}
	p.epoch = func() uint64 { return watcher.Current().Current().Epoch }
	p.expect = watcher.Expect
	return p, watcher, nil
}

func newPermit(kv jetstream.KeyValue, id string, log *slog.Logger) *Permit {
	p := &Permit{
		kv: kv, id: id, log: log, born: time.Now(), wall: time.Now,
		term: NewTerm(TTL), sent: make(map[uint64]Instant), first: make(chan struct{}), turned: make(chan struct{}, 1),
		cancel: func() {},
	}
	p.once = lifecycle.NewOnce("router permit", p.start, p.stop)
	return p
}

func (p *Permit) now() Instant {
	return Instant{Mono: time.Since(p.born), Wall: p.wall().Round(0)}
}

// Start renews the permit until Stop, and returns once it is valid.
func (p *Permit) Start(ctx context.Context) error { return p.once.Start(ctx) }

func (p *Permit) start(ctx context.Context) error {
	var run context.Context
	run, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	p.done.Go(func() { p.renew(run) })
	select {
	case <-p.first:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("take a router's permit: %w", ctx.Err())
	}
}

func (p *Permit) renew(ctx context.Context) {
	tick := time.NewTicker(RenewEvery)
	defer tick.Stop()
	entered := false // there may be an entry
	for {
		switch {
		case !p.suspended():
			p.put(ctx, p.epoch())
			entered = true
		case entered:
			entered = p.remove(ctx) != nil // else it is tried again, and expires meanwhile
		}
		select {
		case <-tick.C:
		case <-p.turned:
		case <-ctx.Done():
			return
		}
	}
}

// put sends one renewal.
func (p *Permit) put(ctx context.Context, epoch uint64) {
	b, err := json.Marshal(entry{Schema: entrySchema, Renewal: p.number(), Epoch: epoch})
	if err != nil {
		panic(err) // an entry holds nothing that cannot be encoded
	}
	attempt, cancel := context.WithTimeout(ctx, RenewEvery)
	defer cancel()
	revision, err := p.kv.Put(attempt, topology.PermitKey(p.id), b)
	if err == nil {
		p.expect(revision)
	} else if ctx.Err() == nil {
		p.log.Warn("router permit not renewed", "error", p.why(ctx, err))
	}
}

// number returns the number of the next renewal and notes that it is sent now.
func (p *Permit) number() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	now := p.now()
	p.sent[p.last] = now
	for old := range p.sent { // those that were never delivered
		if p.sent[old].Mono+TTL < now.Mono {
			delete(p.sent, old)
		}
	}
	return p.last
}

// why asks NATS for the reason when nothing answered a renewal, unless the permit is still valid and must be renewed in time.
func (p *Permit) why(ctx context.Context, err error) error {
	if _, valid := p.Valid(); valid || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return topology.Unanswered(ctx, p.kv, err)
}

// Delivered takes the entry of a router's permit from the Watcher. Entries of other routers are ignored.
func (p *Permit) Delivered(router string, e jetstream.KeyValueEntry) {
	if router != p.id || e.Operation() != jetstream.KeyValuePut {
		return
	}
	var v entry
	if json.Unmarshal(e.Value(), &v) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	sent, ok := p.sent[v.Renewal]
	delete(p.sent, v.Renewal)
	if !ok || p.revoked || p.unread != nil {
		return
	}
	now := p.now()
	before, _ := p.term.Valid(now)
	p.term.Renew(sent, now)
	p.broker = Instant{Mono: now.Mono, Wall: e.Created()}
	switch after, valid := p.term.Valid(now); {
	case !valid:
		p.log.Warn("renewal of the router permit arrived too late", "after", now.Mono-sent.Mono)
	case !p.taken:
		p.taken = true
		close(p.first)
	case after != before:
		p.log.Warn("router permit had expired and is valid again", "term", after)
	}
}

// Valid returns the number of the term and whether the permit is valid now.
func (p *Permit) Valid() (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.term.Valid(p.now())
}

// Revoke ends the permit for good.
func (p *Permit) Revoke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revoked, p.term.until = true, Instant{}
}

// BrokerTime is the broker's time now, as far as the newest renewal tells.
func (p *Permit) BrokerTime() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broker.Wall.Add(p.now().Mono - p.broker.Mono)
}

// Stop gives the permit up. After an error its entry remains, and expires.
func (p *Permit) Stop(ctx context.Context) error { return p.once.Stop(ctx) }

func (p *Permit) stop(ctx context.Context) error {
	p.cancel()
	p.done.Wait()
	p.mu.Lock()
	renewed := p.last > 0
	p.term.until = Instant{}
	clear(p.sent) // renewals in flight do not count any more
	p.mu.Unlock()
	if !renewed {
		return nil
	}
	// Even at a hard stop, for an entry that remains makes a reshard wait.
	return p.remove(context.WithoutCancel(ctx))
}
