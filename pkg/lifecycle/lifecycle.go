// Package lifecycle is the one contract by which everything that runs goroutines starts and stops, and a Once that keeps it.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Part is something that runs: a loop, a server, a member of a group. Its constructor checks its configuration and opens
// listeners, so that mistakes show early, and starts no goroutine. testkit.StressStartStop holds a part against this contract.
type Part interface {
	// Start returns once the part works. It works once: a second Start, and one after a Stop, is an error that changes
	// nothing. ctx bounds the start alone: a part that works does not hang on it. A Start that fails leaves nothing
	// running.
	Start(ctx context.Context) error
	// Stop finishes the work at hand, and returns when nothing of the part runs any more. When ctx ends the stop is hard:
	// the part gives up unfinished work, and Stop still waits for every goroutine. Stop may be called at any time, more
	// than once and concurrently, and each call returns only at the end: before Start, and then the part never starts;
	// while Start is under way, which then fails or is stopped; and while another Stop waits, which becomes hard too when
	// this call's ctx ends.
	Stop(ctx context.Context) error
}

// ErrOnce is returned by a Start that is not the first, or that comes after a Stop.
var ErrOnce = errors.New("was already started or stopped")

// Once keeps the contract for a part that has a function to start it and one to stop it. Each is called at most once, and
// never both at a time.
type Once struct {
	name        string
	start, stop func(context.Context) error

	mu    sync.Mutex // guards begun
	begun bool       // there was a Start, or a Stop before it

	started  chan struct{}   // closed when Start has ended, or will never begin
	leaving  context.Context // ends with the first Stop
	leave    context.CancelFunc
	hard     context.Context // ends when a Stop's context does
	abort    context.CancelFunc
	stopping sync.Once
	stopped  error
}

// NewOnce makes a Once; name is for ErrOnce. The context of start ends also when the part is to stop: start shall give up
// then. stop ends whatever start has begun; that may be nothing, for start may fail anywhere, or never be called.
func NewOnce(name string, start, stop func(context.Context) error) *Once {
	o := &Once{name: name, start: start, stop: stop, started: make(chan struct{})}
	o.leaving, o.leave = context.WithCancel(context.Background())
	o.hard, o.abort = context.WithCancel(context.Background())
	return o
}

// Start is Part's.
func (o *Once) Start(ctx context.Context) error {
	o.mu.Lock()
	begun := o.begun
	o.begun = true
	o.mu.Unlock()
	if begun {
		return fmt.Errorf("%s %w", o.name, ErrOnce)
	}
	defer close(o.started)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(o.leaving, cancel)()
	err := ctx.Err() // a start need not look itself
	if err == nil {
		err = o.start(ctx)
	}
	if err != nil {
		cancel() // Start has not returned, so there is no work to finish
		o.stopping.Do(func() { _ = o.stop(ctx) })
	}
	return err
}

// Stop is Part's. All calls return the same; after a Start that failed, and has said so, nil.
func (o *Once) Stop(ctx context.Context) error {
	o.mu.Lock()
	if !o.begun {
		o.begun = true
		close(o.started)
	}
	o.mu.Unlock()
	unhook := context.AfterFunc(ctx, o.abort)
	defer unhook()
	o.leave()
	<-o.started
	o.stopping.Do(func() {
		unhook() // stop has our context itself, and is to see why it ended
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(o.hard, cancel)()
		o.stopped = o.stop(ctx)
	})
	return o.stopped
}
