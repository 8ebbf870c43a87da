package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// ErrKilled says that a process did not end in time and was killed.
var ErrKilled = errors.New("did not stop in time and was killed")

const (
	firstWait = 100 * time.Millisecond
	longWait  = 5 * time.Second
	// settled is how long a process must run until its end counts as its first one again.
	settled = 10 * time.Second
)

// Events are the functions that a Keeper calls, one at a time. They must not block.
type Events struct {
	// Spec returns what to run. It is called before every start.
	Spec func() Spec
	// Started is called after every start.
	Started func(*Process)
	// Ended is called when the process ended, or with a nil process when it could not be started again: why, and how long
	// the Keeper waits before it tries.
	Ended func(p *Process, why string, wait time.Duration)
}

// Keeper keeps one process running: when it ends it is started again, after a wait that grows from 100 ms to 5 s while
// it keeps ending within 10 s. An end in order, after SIGTERM, does not count.
type Keeper struct {
	starter *Starter
	events  Events

	stopping, hard chan struct{}
	stop, abort    sync.Once

	mu      sync.Mutex // guards what follows
	started bool
	done    chan struct{}
	holds   int
	open    chan struct{} // closed while there are no holds
}

// NewKeeper returns a Keeper that starts its process with starter.
func NewKeeper(starter *Starter, events Events) *Keeper {
	k := &Keeper{starter: starter, events: events, stopping: make(chan struct{}), hard: make(chan struct{}), open: make(chan struct{})}
	close(k.open)
	return k
}

// Hold keeps the process from being started again until release is called. It does not end a running process.
func (k *Keeper) Hold() (release func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.holds == 0 {
		k.open = make(chan struct{})
	}
	k.holds++
	return sync.OnceFunc(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.holds--; k.holds == 0 {
			close(k.open)
		}
	})
}

// awaitStart waits until the process may be started again. It returns false when the Keeper stops.
func (k *Keeper) awaitStart(wait time.Duration) bool {
	select {
	case <-time.After(wait):
	case <-k.stopping:
		return false
	}
	k.mu.Lock()
	open := k.open
	k.mu.Unlock()
	select {
	case <-open:
		return true
	case <-k.stopping:
		return false
	}
}

// Start starts the process for the first time; an error means that it cannot be run at all.
func (k *Keeper) Start(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.stopping:
		return errors.New("keeper stopped")
	default:
	}
	if k.started {
		return errors.New("keeper started twice")
	}
	p, err := k.starter.Start(k.events.Spec())
	if err != nil {
		return err
	}
	k.started, k.done = true, make(chan struct{})
	k.events.Started(p)
	go k.run(p)
	return nil
}

// Stop ends the process with SIGTERM and waits. When ctx ends it kills the process group and returns ErrKilled.
func (k *Keeper) Stop(ctx context.Context) error {
	k.stop.Do(func() { close(k.stopping) })
	k.mu.Lock()
	done := k.done
	k.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	k.abort.Do(func() { close(k.hard) })
	<-done
	return ErrKilled
}

func (k *Keeper) run(p *Process) {
	defer close(k.done)
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = firstWait, longWait
	for {
		began := time.Now()
		if !k.watch(p) {
			return
		}
		if time.Since(began) > settled || p.endedAsTold() {
			waits.Reset()
		}
		why := p.Outcome()
		for ended := p; ; ended = nil {
			wait := waits.NextBackOff()
			k.events.Ended(ended, why, wait)
			if !k.awaitStart(wait) {
				return
			}
			var err error
			if p, err = k.starter.Start(k.events.Spec()); err == nil {
				break
			}
			why = fmt.Sprintf("cannot be started: %v", err)
		}
		k.events.Started(p)
	}
}

// watch waits for the process to end. It returns false when it ended because we are stopping.
func (k *Keeper) watch(p *Process) bool {
	select {
	case <-p.Ended():
		select {
		case <-k.stopping:
			return false
		default:
			return true
		}
	case <-k.stopping:
	}
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.Ended():
	case <-k.hard:
		p.Signal(syscall.SIGKILL)
		<-p.Ended()
	}
	return false
}
