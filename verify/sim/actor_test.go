package sim

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
)

// actor is a process that runs one of our services.
type actor struct {
	*Process
	begin   func(context.Context, *nats.Conn) (stop func(context.Context) error, err error)
	cancel  context.CancelFunc // of its start
	up      chan struct{}      // closed when its start has ended
	finish  func(context.Context) error
	nc      *nats.Conn
	leaving bool
	stopped chan struct{} // closed when its stop has ended
}

// launch starts a process and tries again until it succeeds, as a supervisor does.
func launch(p *Process, begin func(context.Context, *nats.Conn) (func(context.Context) error, error)) *actor {
	a := &actor{Process: p, begin: begin, up: make(chan struct{}), stopped: make(chan struct{})}
	var ctx context.Context
	ctx, a.cancel = context.WithCancel(background)
	go func() {
		defer close(a.up)
		for ctx.Err() == nil && !a.start(ctx) {
			time.Sleep(time.Second)
		}
	}()
	return a
}

func (a *actor) start(ctx context.Context) bool {
	nc, err := a.Connect()
	if err != nil {
		return false
	}
	if a.finish, err = a.begin(ctx, nc); err == nil {
		a.nc = nc
		return true
	}
	nc.Close()
	return false
}

// stop ends the process, soft or hard.
func (a *actor) stop(ctx context.Context) {
	if a.leaving {
		return
	}
	a.leaving = true
	a.cancel()
	go func() {
		defer close(a.stopped)
		<-a.up
		if a.nc != nil {
			_ = a.finish(ctx)
			time.Sleep(time.Millisecond)
			a.nc.Close()
		}
	}()
}

func (a *actor) kill() {
	a.Kill()
	a.stop(gone)
}

// release ends a pause or a stall.
func (p *Process) release() {
	if p.paused {
		p.Resume()
	}
	if p.stalled {
		p.Flow()
	}
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func pick[T any](w *World, from []T) T { return from[w.Rand.IntN(len(from))] }
