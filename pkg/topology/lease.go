package topology

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Times of a router's lease.
const (
	LeaseTTL   = 2 * time.Second
	LeaseRenew = 500 * time.Millisecond
	leaseStale = time.Minute // entries of dead routers are removed after this
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
	log   *slog.Logger
	start time.Time
	wall  func() time.Time

	mu      sync.Mutex // guards what follows
	term    Term
	sent    map[uint64]Instant // by renewal
	last    uint64
	broker  Instant       // the broker's wall clock, and our monotonic one, when the newest renewal arrived
	first   chan struct{} // closed when the lease is valid for the first time
	taken   bool
	revoked bool // the bucket is another topology's

	cancel context.CancelFunc
	done   chan struct{}
}

// NewLease makes a lease for the router id. Give it to Watch, then Start it.
func NewLease(kv jetstream.KeyValue, id string, log *slog.Logger) *Lease {
	return &Lease{
		kv: kv, id: id, log: log, start: time.Now(), wall: time.Now,
		term: NewTerm(LeaseTTL), sent: make(map[uint64]Instant), first: make(chan struct{}),
	}
}

func (l *Lease) now() Instant {
	return Instant{Mono: time.Since(l.start), Wall: l.wall().Round(0)}
}

// Start renews the lease until Stop and returns once it is valid.
func (l *Lease) Start(ctx context.Context, epoch func() uint64) error {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel, l.done = cancel, make(chan struct{})
	go l.renew(run, epoch)
	select {
	case <-l.first:
		l.sweep(ctx, l.BrokerTime())
		return nil
	case <-ctx.Done():
		l.Stop(ctx)
		return fmt.Errorf("take a router's lease: %w", ctx.Err())
	}
}

func (l *Lease) renew(ctx context.Context, epoch func() uint64) {
	defer close(l.done)
	tick := time.NewTicker(LeaseRenew)
	defer tick.Stop()
	for {
		l.put(ctx, epoch())
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
	b, err := json.Marshal(leaseEntry{Schema: schema, Renewal: n, Epoch: epoch})
	if err != nil {
		panic(err) // a leaseEntry holds nothing that cannot be encoded
	}
	attempt, cancel := context.WithTimeout(ctx, LeaseRenew)
	defer cancel()
	if _, err := l.kv.Put(attempt, leasePrefix+l.id, b); err != nil && ctx.Err() == nil {
		l.log.Warn("router lease not renewed", "error", err)
	}
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

// Stop gives the lease up.
func (l *Lease) Stop(ctx context.Context) {
	if l.cancel == nil {
		return
	}
	l.cancel()
	<-l.done
	l.mu.Lock()
	l.term.until = Instant{}
	clear(l.sent) // what was under way does not count any more
	l.mu.Unlock()
	_ = l.kv.Purge(ctx, leasePrefix+l.id) // it runs out by itself too
}

// sweep removes the entries of routers that are long dead. now is the broker's time.
func (l *Lease) sweep(ctx context.Context, now time.Time) {
	keys, err := l.kv.ListKeysFiltered(ctx, leasePrefix+">")
	if err != nil {
		return
	}
	for key := range keys.Keys() {
		e, err := l.kv.Get(ctx, key)
		if err == nil && now.Sub(e.Created()) > leaseStale {
			if err := l.kv.Purge(ctx, key, jetstream.LastRevision(e.Revision())); err != nil {
				l.log.Debug("stale router lease not removed", "key", key, "error", err)
			}
		}
	}
}
