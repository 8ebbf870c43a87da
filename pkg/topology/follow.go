package topology

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	followRetry = 100 * time.Millisecond
	followFirst = 5 * time.Second // for the first watch to begin
	followAgain = time.Second     // for one after a reconnect: its request may be lost when the connection breaks again
	followDrain = time.Second
)

// Follower delivers a KV bucket's entries as they change.
type Follower struct {
	nc     *nats.Conn
	kv     jetstream.KeyValue
	begin  func()
	take   func(jetstream.KeyValueEntry)
	status chan nats.Status
	ready  chan struct{}

	run    context.Context
	cancel context.CancelFunc
	end    context.CancelFunc // of the watch at hand
	done   chan struct{}
}

// Follow calls begin, take with every entry of a bucket as it is now, take with nil, and then take with every change, in
// order. After each reconnect it does so anew: left to itself, a watch may take many seconds to notice that the server has
// forgotten it; and the bucket may have lost entries without a trace. It returns after the first nil. Stop ends it; neither
// is called any more when that returns. There is no Follower that has yet to start: who has one has seen all entries.
func Follow(ctx context.Context, nc *nats.Conn, kv jetstream.KeyValue, begin func(), take func(jetstream.KeyValueEntry)) (*Follower, error) {
	f := &Follower{nc: nc, kv: kv, begin: begin, take: take, status: nc.StatusChanged(nats.CONNECTED), ready: make(chan struct{}), done: make(chan struct{})}
	f.run, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, f.cancel)
	defer stop()
	failed := func(err error) error {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("watch bucket %s: %w", kv.Bucket(), err)
	}
	w, err := f.open(f.run, followFirst)
	if err != nil {
		f.cancel()
		nc.RemoveStatusListener(f.status)
		return nil, failed(err)
	}
	go f.loop(w)
	select {
	case <-f.ready:
	case <-ctx.Done():
	}
	stop()
	if ctx.Err() != nil {
		f.Stop()
		return nil, failed(nil)
	}
	return f, nil
}

// Stop ends the calls. It returns when they have ended, whoever else calls it: at once, or within a second if the connection
// has just come back. There is nothing to finish, so it takes no context.
func (f *Follower) Stop() {
	f.cancel()
	<-f.done
}

func (f *Follower) loop(w jetstream.KeyWatcher) {
	defer close(f.done)
	defer f.nc.RemoveStatusListener(f.status)
	for w != nil {
		f.begin()
		f.deliver(w)
		f.end()
		drain(w)
		w = f.reopen()
	}
}

// open begins a watch, which f.end then ends. To stop the watch itself would wait for the server, which may be gone.
func (f *Follower) open(ctx context.Context, limit time.Duration) (jetstream.KeyWatcher, error) {
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(limit, cancel)
	defer late.Stop()
	w, err := f.kv.WatchAll(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	f.end = cancel
	return w, nil
}

// drain takes what a watch that was ended has still to hand over: while it cannot, the library's goroutine stays.
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

// reopen begins a watch again, or returns nil at the end. The client (nats.go 1.55) crashes if it finds that it has missed
// something, as soon after a reconnect, just when a watch that was being begun is given up. So a watch has its time to begin,
// followAgain, though Stop waits for it; and without a connection none is begun.
func (f *Follower) reopen() jetstream.KeyWatcher {
	for f.run.Err() == nil {
		if f.nc.IsConnected() {
			if w, err := f.open(context.WithoutCancel(f.run), followAgain); err == nil {
				return w
			}
		}
		select {
		case <-time.After(followRetry):
		case <-f.run.Done():
		}
	}
	return nil
}
