package consume

import (
	"context"
	"sync"
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

// during makes a context that ends when the store is found to be unfit, with the reason as its cause. done is to be called.
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
