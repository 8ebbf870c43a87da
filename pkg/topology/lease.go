package topology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"example.com/lockstep/pkg/lifecycle"
	"github.com/nats-io/nats.go/jetstream"
)

// Times of a router's lease.
const (
	LeaseTTL    = 2 * time.Second
	LeaseRenew  = 500 * time.Millisecond
	leaseGiveUp = time.Second // for the server to take our entry away
	leaseAsk    = 100 * time.Millisecond
)

// leaseEntry is the value of a router's lease.
type leaseEntry struct {
	Schema  int    `json:"schema"`
	Renewal uint64 `json:"renewal"` // 1, 2, 3 ...
	Epoch   uint64 `json:"epoch"`   // the router publishes into this epoch
	Closed  uint64 `json:"closed"`  // it has nothing under way in this epoch or an older one, and will not again
}

// Lease is a router's lease in the topology bucket. A renewal counts once this process's own Watcher has delivered it.
type Lease struct {
	kv    jetstream.KeyValue
	id    string
	epoch func() uint64 // into which the router publishes
	log   *slog.Logger
	born  time.Time
	wall  func() time.Time

	mu      sync.Mutex // guards what follows
	term    Term
	sent    map[uint64]Instant // by renewal
	last    uint64
	broker  Instant       // the broker's wall clock, and our monotonic one, when the newest renewal arrived
	first   chan struct{} // closed when the lease is valid for the first time
	taken   bool
	revoked bool                  // the bucket is another topology's
	expect  func(revision uint64) // tells the Watcher what it must deliver

	once   *lifecycle.Once
	cancel context.CancelFunc // ends the renewing
	done   sync.WaitGroup
}

// NewLease makes a lease for the router id, which publishes into the epoch that epoch returns. Give the lease to Watch, then
// Start it.
func NewLease(kv jetstream.KeyValue, id string, epoch func() uint64, log *slog.Logger) *Lease {
	l := &Lease{
		kv: kv, id: id, epoch: epoch, log: log, born: time.Now(), wall: time.Now, expect: func(uint64) {},
		term: NewTerm(LeaseTTL), sent: make(map[uint64]Instant), first: make(chan struct{}), cancel: func() {},
	}
	l.once = lifecycle.NewOnce("router lease", l.start, l.stop)
	return l
}

func (l *Lease) now() Instant {
	return Instant{Mono: time.Since(l.born), Wall: l.wall().Round(0)}
}

// Start renews the lease until Stop and returns once it is valid.
func (l *Lease) Start(ctx context.Context) error { return l.once.Start(ctx) }

func (l *Lease) start(ctx context.Context) error {
	var run context.Context
	run, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.done.Go(func() { l.renew(run) })
	select {
	case <-l.first:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("take a router's lease: %w", ctx.Err())
	}
}

func (l *Lease) renew(ctx context.Context) {
	tick := time.NewTicker(LeaseRenew)
	defer tick.Stop()
	for {
		l.put(ctx, l.epoch())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (l *Lease) put(ctx context.Context, epoch uint64) {
	l.mu.Lock()
	l.last++
	n := l.last
	now := l.now()
	l.sent[n] = now
	for old := range l.sent { // what was never delivered
		if l.sent[old].Mono+LeaseTTL < now.Mono {
			delete(l.sent, old)
		}
	}
	l.mu.Unlock()
	b, err := json.Marshal(leaseEntry{Schema: entrySchema, Renewal: n, Epoch: epoch})
	if err != nil {
		panic(err) // a leaseEntry holds nothing that cannot be encoded
	}
	attempt, cancel := context.WithTimeout(ctx, LeaseRenew)
	defer cancel()
	revision, err := l.kv.Put(attempt, leasePrefix+l.id, b)
	if err == nil {
		l.mu.Lock()
		expect := l.expect
		l.mu.Unlock()
		expect(revision)
	} else if ctx.Err() == nil {
		l.log.Warn("router lease not renewed", "error", l.why(ctx, err))
	}
}

// why finds out more of a renewal that nobody has answered, unless there is still a lease to be renewed in time.
func (l *Lease) why(ctx context.Context, err error) error {
	if _, valid := l.Valid(); valid || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, leaseAsk)
	defer cancel()
	return Unanswered(ctx, l.kv, err)
}

// watched says through which Watcher renewals come.
func (l *Lease) watched(expect func(revision uint64)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expect = expect
}

// delivered takes an entry from the watcher.
func (l *Lease) delivered(id string, e jetstream.KeyValueEntry) {
	if id != l.id || e.Operation() != jetstream.KeyValuePut {
		return
	}
	var v leaseEntry
	if json.Unmarshal(e.Value(), &v) != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	sent, ok := l.sent[v.Renewal]
	if !ok || l.revoked {
		return
	}
	delete(l.sent, v.Renewal)
	now := l.now()
	before, _ := l.term.Valid(now)
	l.term.Renew(sent, now)
	l.broker = Instant{Mono: now.Mono, Wall: e.Created()}
	switch after, valid := l.term.Valid(now); {
	case !valid:
		l.log.Warn("router lease came too late", "after", now.Mono-sent.Mono)
	case !l.taken:
		l.taken = true
		close(l.first)
	case after != before:
		l.log.Warn("router lease had run out and is back", "term", after)
	}
}

// Valid returns the number of the term and whether the lease holds now.
func (l *Lease) Valid() (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.term.Valid(l.now())
}

// revoke ends the lease for good.
func (l *Lease) revoke() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revoked, l.term.until = true, Instant{}
}

// BrokerTime is the broker's time now, as far as the newest renewal tells.
func (l *Lease) BrokerTime() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broker.Wall.Add(l.now().Mono - l.broker.Mono)
}

// Stop gives the lease up. After an error its entry still stands, and runs out.
func (l *Lease) Stop(ctx context.Context) error { return l.once.Stop(ctx) }

func (l *Lease) stop(ctx context.Context) error {
	l.cancel()
	l.done.Wait()
	l.mu.Lock()
	renewed := l.last > 0
	l.term.until = Instant{}
	clear(l.sent) // what was under way does not count any more
	l.mu.Unlock()
	if !renewed {
		return nil
	}
	// Even at a hard stop, for an entry that stands makes a reshard wait.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseGiveUp)
	defer cancel()
	if err := l.kv.Purge(ctx, leasePrefix+l.id); err != nil {
		return fmt.Errorf("give a router's lease up: %w", err)
	}
	return nil
}
