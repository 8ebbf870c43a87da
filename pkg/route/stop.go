package route

import (
	"context"
	"fmt"
)

// Stop takes no more, stores and answers what it has, and gives its permit up. When ctx ends it drops the rest, which
// publishers send again.
func (r *Router) Stop(ctx context.Context) error { return r.once.Stop(ctx) }

// stop ends whatever start has begun. In this order: others take new frames; ours are stored and answered; then the permit
// goes.
func (r *Router) stop(ctx context.Context) error {
	for _, s := range r.subs {
		if err := s.Drain(); err != nil {
			_ = s.Unsubscribe()
		}
	}
	drained := make(chan struct{})
	go func() { r.drained.Wait(); close(drained) }()
	select {
	case <-drained:
	case <-ctx.Done():
	}
	err := r.wait(ctx)
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	if err == nil && len(r.subs) > 0 {
		if ferr := r.nc.FlushTimeout(lastAnswers); ferr != nil {
			err = fmt.Errorf("router stopped before its last answers were sent: %w", ferr)
		}
	}
	for _, s := range r.subs {
		_ = s.Unsubscribe()
	}
	<-drained
	close(r.quit)
	r.done.Wait()
	if r.permit != nil {
		_ = r.permit.Stop(ctx) // it runs out by itself
	}
	if r.watcher != nil {
		r.watcher.Stop()
	}
	if r.log != nil {
		r.log.close()
	}
	return err
}

// wait waits until nothing is under way.
func (r *Router) wait(ctx context.Context) error {
	idle := make(chan struct{})
	r.mu.Lock()
	r.idle = idle
	r.signal()
	r.mu.Unlock()
	select {
	case <-idle:
		return nil
	default:
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("router stopped before all accepted events were stored: %w", ctx.Err())
	}
}

// signal wakes Stop when nothing is under way.
func (r *Router) signal() {
	if r.idle != nil && (r.gather == nil || r.gather.Held() == 0) {
		close(r.idle)
		r.idle = nil
	}
}
