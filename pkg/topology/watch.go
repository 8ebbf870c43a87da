package topology

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrReplaced means that the bucket holds another topology: NATS was wiped and set up again.
var ErrReplaced = errors.New("another topology has replaced ours")

// Permit is a router's right to acknowledge (package permit). Its entry lies in the topology's bucket, and the Watcher hands
// entries over in the bucket's order: when a renewal is Delivered, every topology stored before it is Current.
type Permit interface {
	// Delivered takes the entry of a router's permit, this one's or another's. router is the router's id.
	Delivered(router string, e jetstream.KeyValueEntry)
	// Suspend ends the permit until Resume: the topology cannot be read.
	Suspend(reason error)
	Resume()
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
	err     error // why Current is not the newest entry; nil if it is
	changed chan struct{}

	replace  sync.Once
	replaced chan struct{}
}

// Watch starts to follow the bucket and returns once the topology as it is now has arrived, so every Watcher has a Current
// topology. permit is nil in a process that is no router. Stop ends the watch.
func Watch(ctx context.Context, nc *nats.Conn, kv jetstream.KeyValue, permit Permit, log *slog.Logger) (*Watcher, error) {
	w := &Watcher{log: log, permit: permit, changed: make(chan struct{}), replaced: make(chan struct{})}
	keys := ">"
	if permit == nil {
		keys = topologyKey // routers renew their permits all the time
	}
	var err error
	if w.follower, err = follow(ctx, nc, kv, keys, log, func() {}, w.deliver); err != nil {
		return nil, err
	}
	if w.Current().ID == "" {
		w.Stop()
		return nil, cmp.Or(w.Err(), ErrNotFound)
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
		w.log.Error("the topology was deleted; this process goes on as before, but no service can start: "+
			"write it again (router restore-topology)", "bucket", e.Bucket())
		return
	}
	t, err := Decode(e.Value())
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil:
		w.suspend(err)
	case w.current.ID == "":
		w.take(t)
	case t.ID != w.current.ID:
		w.replacedBy(t)
	case t.Current().Epoch < w.current.Current().Epoch:
		w.log.Error("received an older topology; keeping the newer one, under which events may have been acknowledged: "+
			"write the newer one again, or restart all routers and workers to go on by the older one",
			"epoch", w.current.Current().Epoch, "other", t.Current().Epoch)
	default:
		w.take(t)
	}
}

// take makes a topology the current one. The caller holds mu.
func (w *Watcher) take(t Topology) {
	if w.err != nil && w.permit != nil {
		w.permit.Resume()
	}
	w.current, w.err = t, nil
	w.change()
}

// suspend takes an entry that cannot be read: the topology before it must not be used any more. The caller holds mu.
func (w *Watcher) suspend(err error) {
	w.err = err
	if w.permit != nil {
		w.permit.Suspend(err)
	}
	w.change()
}

// replacedBy takes another topology. The caller holds mu.
func (w *Watcher) replacedBy(t Topology) {
	w.err = fmt.Errorf("%w: ours is %s, the bucket has %s: restart this program, if it is a worker with the store that goes with it",
		ErrReplaced, w.current.ID, t.ID)
	if w.permit != nil {
		w.permit.Revoke()
	}
	w.replace.Do(func() { close(w.replaced) })
	w.change()
}

// change closes changed. The caller holds mu.
func (w *Watcher) change() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// Err says why the bucket's entry is not Current: it wraps ErrUnreadable or ErrReplaced. While it is not nil no process may go
// on by the Current topology. It is nil again when a topology with our id has been written that can be read.
func (w *Watcher) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Current is the newest topology delivered that can be read and has our id.
func (w *Watcher) Current() Topology {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current
}

// Changed is closed when a topology is delivered, so that Current or Err may change.
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
