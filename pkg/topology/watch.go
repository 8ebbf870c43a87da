package topology

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// Watcher follows the topology bucket.
type Watcher struct {
	log   *slog.Logger
	lease *Lease // of this process, if it is a router

	mu      sync.Mutex // guards what follows
	current Topology
	changed chan struct{}

	cancel context.CancelFunc
	done   chan struct{}
}

// Watch starts to follow the bucket and returns once the topology as it is now has arrived. lease may be nil. Stop ends it.
func Watch(ctx context.Context, kv jetstream.KeyValue, lease *Lease, log *slog.Logger) (*Watcher, error) {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	kw, err := kv.WatchAll(run)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("watch topology: %w", err)
	}
	w := &Watcher{log: log, lease: lease, changed: make(chan struct{}), cancel: cancel, done: make(chan struct{})}
	ready := make(chan struct{})
	go func() {
		defer close(w.done)
		defer func() { _ = kw.Stop() }()
		for {
			select {
			case <-run.Done():
				return
			case e, ok := <-kw.Updates():
				if !ok {
					return
				}
				if e == nil {
					close(ready)
					continue
				}
				w.deliver(e)
			}
		}
	}()
	select {
	case <-ready:
	case <-w.done:
		err = fmt.Errorf("watch topology: the watch ended")
	case <-ctx.Done():
		err = fmt.Errorf("watch topology: %w", ctx.Err())
	}
	if err == nil && w.Current().ID == "" {
		err = ErrNotFound
	}
	if err != nil {
		w.Stop()
		return nil, err
	}
	return w, nil
}

func (w *Watcher) deliver(e jetstream.KeyValueEntry) {
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
		w.log.Error("the topology was deleted: restore its bucket", "bucket", e.Bucket())
		return
	}
	t, err := Decode(e.Value())
	if err != nil {
		w.log.Error("the topology cannot be read; going on with the one before", "error", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
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

// Stop ends the watch.
func (w *Watcher) Stop() {
	w.cancel()
	<-w.done
}
