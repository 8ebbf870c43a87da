package topology

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Permit is a router's right to acknowledge (package permit). Its entry lies in the topology's bucket, and the Watcher hands
// entries over in the bucket's order: when a renewal is Delivered, every topology stored before it is Current.
type Permit interface {
	// Delivered takes the entry of a router's permit, this one's or another's. router is the router's id.
	Delivered(router string, e jetstream.KeyValueEntry)
	// Revoke ends the permit for good: the bucket belongs to another topology now.
	Revoke()
}

// Watcher follows the topology bucket.
type Watcher struct {
	log      *slog.Logger
	permit   Permit // of this process, if it is a router
	follower *Follower

	mu      sync.Mutex // guards what follows
	current Topology
	changed chan struct{}

	replace  sync.Once
	replaced chan struct{}
}

// Watch starts to follow the bucket and returns once the topology as it is now has arrived, so every Watcher has a Current
// topology. permit is nil in a process that is no router. Stop ends the watch.
func Watch(ctx context.Context, nc *nats.Conn, kv jetstream.KeyValue, permit Permit, log *slog.Logger) (*Watcher, error) {
	w := &Watcher{log: log, permit: permit, changed: make(chan struct{}), replaced: make(chan struct{})}
	var err error
	if w.follower, err = Follow(ctx, nc, kv, log, func() {}, w.deliver); err != nil {
		return nil, err
	}
	if w.Current().ID == "" {
		w.Stop()
		return nil, ErrNotFound
	}
	return w, nil
}

func (w *Watcher) deliver(e jetstream.KeyValueEntry) {
	if e == nil {
		return
	}
	if id, ok := strings.CutPrefix(e.Key(), permitPrefix); ok {
		if w.permit != nil {
			w.permit.Delivered(id, e)
		}
		return
	}
	if e.Key() != topologyKey {
		return
	}
	if e.Operation() != jetstream.KeyValuePut {
		w.log.Error("the topology was deleted; this process keeps the previous one, but no service can start: "+
			"write it again (router restore-topology)", "bucket", e.Bucket())
		return
	}
	t, err := Decode(e.Value())
	if err != nil {
		w.log.Error("the topology cannot be read; keeping the previous one", "error", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.current.ID == "":
	case t.ID != w.current.ID:
		if w.permit != nil {
			w.permit.Revoke()
		}
		w.replace.Do(func() {
			w.log.Error("another topology has replaced ours", "ours", w.current.ID, "other", t.ID)
			close(w.replaced)
		})
		return
	case t.Current().Epoch < w.current.Current().Epoch:
		w.log.Error("received an older topology; keeping the newer one", "epoch", w.current.Current().Epoch, "other", t.Current().Epoch)
		return
	}
	w.current = t
	close(w.changed)
	w.changed = make(chan struct{})
}

// Current is the newest topology delivered.
func (w *Watcher) Current() Topology {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current
}

// Changed is closed when a topology newer than Current is delivered.
func (w *Watcher) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// Replaced is closed when another topology has replaced ours: NATS was wiped and set up again. The permit
// is revoked, and this process must be restarted.
func (w *Watcher) Replaced() <-chan struct{} { return w.replaced }

// Expect says that this process has stored an entry of the bucket under a revision. If it is not delivered soon, the watch
// begins again.
func (w *Watcher) Expect(revision uint64) { w.follower.Expect(revision) }

// Stop ends the watch and returns when it has ended. It may be called often and concurrently.
func (w *Watcher) Stop() { w.follower.Stop() }
