package topology

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	followRetry   = 100 * time.Millisecond
	followAttempt = time.Second // a request may be lost when the connection breaks
	followDrain   = time.Second
)

// Follower delivers a KV bucket's entries as they change.
type Follower struct {
	nc     *nats.Conn
	kv     jetstream.KeyValue
	take   func(jetstream.KeyValueEntry)
	status chan nats.Status
	ready  chan struct{}

	run    context.Context
	cancel context.CancelFunc
	end    context.CancelFunc // of the watch at hand; only loop uses it
	done   chan struct{}
}

// Follow calls take with every entry of a bucket as it is now, then with nil, and then with every change, in order. After
// each reconnect it begins anew: left to itself, a watch may take many seconds to notice that the server has forgotten it.
// It returns after the first nil. Stop ends it; take is not called any more when that returns.
func Follow(ctx context.Context, nc *nats.Conn, kv jetstream.KeyValue, take func(jetstream.KeyValueEntry)) (*Follower, error) {
	f := &Follower{nc: nc, kv: kv, take: take, status: nc.StatusChanged(nats.CONNECTED), ready: make(chan struct{}), done: make(chan struct{})}
	f.run, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	f.end = func() {}
	w, err := kv.WatchAll(f.run)
	if err != nil {
		f.cancel()
		nc.RemoveStatusListener(f.status)
		return nil, fmt.Errorf("watch bucket %s: %w", kv.Bucket(), err)
	}
	go f.loop(w)
	select {
	case <-f.ready:
		return f, nil
	case <-ctx.Done():
		f.Stop()
		return nil, fmt.Errorf("watch bucket %s: %w", kv.Bucket(), ctx.Err())
	}
}

// Stop ends the calls.
func (f *Follower) Stop() {
	f.cancel()
	<-f.done
}

func (f *Follower) loop(w jetstream.KeyWatcher) {
	defer close(f.done)
	defer f.nc.RemoveStatusListener(f.status)
	for w != nil {
		f.deliver(w)
		_ = w.Stop() // it ends with the connection or the context too
		drain(w)
		f.end()
		w = f.reopen()
	}
}

// drain takes what a stopped watch has still to hand over: while it cannot, the library's goroutine stays.
func drain(w jetstream.KeyWatcher) {
	late := time.NewTimer(followDrain) // a watch that ended while it was begun is never closed
	defer late.Stop()
	for {
		select {
		case _, ok := <-w.Updates():
			if !ok {
				return
			}
		case <-late.C:
			return
		}
	}
}

// deliver passes entries on until the watch is to be begun anew.
func (f *Follower) deliver(w jetstream.KeyWatcher) {
	for {
		select {
		case <-f.run.Done():
			return
		case <-f.status:
			return
		case e, ok := <-w.Updates():
			if !ok {
				return
			}
			f.take(e)
			if e == nil {
				select {
				case <-f.ready:
				default:
					close(f.ready)
				}
			}
		}
	}
}

// reopen begins a watch, or returns nil at the end.
func (f *Follower) reopen() jetstream.KeyWatcher {
	for f.run.Err() == nil {
		attempt, cancel := context.WithCancel(f.run) // the watch ends with it
		late := time.AfterFunc(followAttempt, cancel)
		w, err := f.kv.WatchAll(attempt)
		late.Stop()
		if err == nil {
			f.end = cancel
			return w
		}
		cancel()
		select {
		case <-time.After(followRetry):
		case <-f.run.Done():
		}
	}
	return nil
}
