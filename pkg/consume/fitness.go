package consume

import (
	"context"
	"errors"
	"sync"
	"time"

	"example.com/lockstep/pkg/store"
)

const (
	lookTime  = 5 * time.Second // for one look at the store
	lookPause = time.Second     // between two: a pool makes many connections at once
)

// fitness tells the shards of a worker whether its store may be used.
type fitness struct {
	mu  sync.Mutex      // guards what follows
	fit context.Context // ends, with the cause, when the store is found to be unfit
	end context.CancelCauseFunc
}

func newFitness() *fitness {
	f := new(fitness)
	f.fit, f.end = context.WithCancelCause(context.Background())
	return f
}

// set says that the store is unfit, or with nil that it is fit.
func (f *fitness) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil:
		f.end(err)
	case f.fit.Err() != nil:
		f.fit, f.end = context.WithCancelCause(context.Background())
	}
}

func (f *fitness) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return context.Cause(f.fit)
}

// during makes a context that ends when the store is found to be unfit, with what is wrong as its cause. done is to be called.
func (f *fitness) during(ctx context.Context) (_ context.Context, done func()) {
	f.mu.Lock()
	fit := f.fit
	f.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	if err := context.Cause(fit); err != nil { // at once
		cancel(err)
	}
	stop := context.AfterFunc(fit, func() { cancel(context.Cause(fit)) })
	return ctx, func() {
		stop()
		cancel(context.Canceled)
	}
}

// mindStore looks every minute, and when a connection was made anew, whether the store is still suitable: somebody may change
// its settings, and a connection may lead to another server. While it is not, the shards stop. It ends with ctx.
func (w *Worker) mindStore(ctx context.Context) {
	reconnected := w.store.Reconnected()
	for wait := w.waits.look; ; {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-reconnected:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		answered := w.lookAtStore(ctx)
		sure, err := w.sameStore(ctx)
		if err != nil {
			return // it ends the worker
		}
		wait = w.waits.look
		if !answered || !sure || w.fitness.err() != nil {
			wait = w.waits.stopped
		}
		if sleep(ctx, nil, min(lookPause, w.waits.look)) {
			return
		}
	}
}

// lookAtStore takes what can be said of the store now. It tells whether the store answered.
func (w *Worker) lookAtStore(ctx context.Context) (answered bool) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	err := w.store.Check(ctx)
	switch {
	case err == nil, errors.Is(err, store.ErrUnsuitable), errors.Is(err, store.ErrTopology):
		w.fitness.set(err)
		return true
	}
	return false
}
