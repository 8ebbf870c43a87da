package topology

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Watcher follows the topology bucket.
type Watcher struct {
	log      *slog.Logger
	lease    *Lease // of this process, if it is a router
	follower *Follower

	mu      sync.Mutex // guards what follows
	current Topology
	changed chan struct{}

	usurp   sync.Once
	usurped chan struct{}
}

// Watch starts to follow the bucket and returns once the topology as it is now has arrived. lease may be nil. Stop ends it.
// There is no Watcher that has yet to start: so each has a Current topology.
func Watch(ctx context.Context, nc *nats.Conn, kv jetstream.KeyValue, lease *Lease, log *slog.Logger) (*Watcher, error) {
	w := &Watcher{log: log, lease: lease, changed: make(chan struct{}), usurped: make(chan struct{})}
	var err error
	if w.follower, err = Follow(ctx, nc, kv, log, func() {}, w.deliver); err != nil {
		return nil, err
	}
	if w.Current().ID == "" {
		w.Stop()
		return nil, ErrNotFound
	}
	if lease != nil {
		lease.watched(w.follower.Expect)
	}
	return w, nil
}

func (w *Watcher) deliver(e jetstream.KeyValueEntry) {
	if e == nil {
		return
	}
	if id, ok := strings.CutPrefix(e.Key(), leasePrefix); ok {
		if w.lease != nil {
			w.lease.delivered(id, e)
		}
		return
	}
	if e.Key() != topologyKey {
		return
	}
	if e.Operation() != jetstream.KeyValuePut {
		w.log.Error("the topology was deleted; going on with the one before, but nothing can be started: write it again (router restore-topology)", "bucket", e.Bucket())
		return
	}
	t, err := Decode(e.Value())
	if err != nil {
		w.log.Error("the topology cannot be read; going on with the one before", "error", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.current.ID == "":
	case t.ID != w.current.ID:
		if w.lease != nil {
			w.lease.revoke()
		}
		w.usurp.Do(func() {
			w.log.Error("another topology has taken the place of ours", "ours", w.current.ID, "other", t.ID)
			close(w.usurped)
		})
		return
	case t.Current().Epoch < w.current.Current().Epoch:
		w.log.Error("the topology went back; keeping the newer one", "epoch", w.current.Current().Epoch, "other", t.Current().Epoch)
		return
	}
	w.current = t
	close(w.changed)
	w.changed = make(chan struct{})
}

// Current is the newest topology that has arrived.
func (w *Watcher) Current() Topology {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current
}

// Changed is closed when a topology newer than Current arrives.
func (w *Watcher) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// Usurped is closed when another topology has taken the place of ours: NATS was wiped and set up anew. This process's
// lease is over, and it must be started anew.
func (w *Watcher) Usurped() <-chan struct{} { return w.usurped }

// Stop ends the watch. It returns when it has ended, whoever else calls it.
func (w *Watcher) Stop() { w.follower.Stop() }
