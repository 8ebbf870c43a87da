package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// stalled is how long a round waits for the next effect before it fails.
const stalled = 30 * time.Second

// nobody is the value of flow.wakeAt when nobody waits.
const nobody = -1

// flow counts a round's events, those sent and those whose effect is done, and holds the senders back while too many are
// between the two.
type flow struct {
	limit      int64
	sent, done atomic.Int64
	wakeAt     atomic.Int64 // wake those who wait when no more than these are outstanding

	mu      sync.Mutex // guards changed
	changed chan struct{}
}

func newFlow(limit int) *flow {
	f := &flow{limit: int64(limit), changed: make(chan struct{})}
	f.wakeAt.Store(nobody)
	return f
}

func (f *flow) outstanding() int64 { return f.sent.Load() - f.done.Load() }

// admit waits until one more event may be sent, and counts it.
func (f *flow) admit(ctx context.Context) error {
	for {
		if n := f.sent.Load(); n-f.done.Load() < f.limit {
			if f.sent.CompareAndSwap(n, n+1) {
				return nil
			}
			continue
		}
		if err := f.wait(ctx, f.limit-f.limit/8-1); err != nil { // some at a time: waking up is dear
			return err
		}
	}
}

// applied counts effects that are done.
func (f *flow) applied(n int) {
	f.done.Add(int64(n))
	if at := f.wakeAt.Load(); at != nobody && f.outstanding() <= at {
		f.wake()
	}
}

func (f *flow) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wakeAt.Store(nobody)
	close(f.changed)
	f.changed = make(chan struct{})
}

// finish waits until all that was sent has its effect. Nobody sends any more.
func (f *flow) finish(ctx context.Context) error { return f.wait(ctx, 0) }

// wait waits until no more than most are outstanding. All who wait at a time wait for the same.
func (f *flow) wait(ctx context.Context, most int64) error {
	timer := time.NewTimer(stalled)
	defer timer.Stop()
	for before := f.done.Load(); ; before = f.done.Load() {
		f.mu.Lock()
		changed := f.changed
		f.wakeAt.Store(most)
		f.mu.Unlock()
		if f.outstanding() <= most {
			return ctx.Err()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			if f.done.Load() == before {
				return fmt.Errorf("%d of %d events have no effect, and none came for %s", f.outstanding(), f.sent.Load(), stalled)
			}
			timer.Reset(stalled)
		}
	}
}
