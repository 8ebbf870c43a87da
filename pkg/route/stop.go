package route

import (
	"context"
	"fmt"
)

// Stop takes no more events, stores and answers those it holds, and gives its permit up. When ctx ends it drops the rest, and
// publishers send them again.
func (r *Router) Stop(ctx context.Context) error { return r.once.Stop(ctx) }

// stop ends all that start has begun, in this order: unsubscribe, so that other routers take new frames; store and answer the
// frames held; give the permit up.
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
		_ = r.permit.Stop(ctx) // else it expires
	}
	if r.watcher != nil {
		r.watcher.Stop()
	}
	if r.log != nil {
		r.log.close()
	}
	return err
}

// wait waits until no event is held.
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

// signal wakes wait when no event is held. The caller holds r.mu.
func (r *Router) signal() {
	if r.idle != nil && (r.gather == nil || r.gather.Held() == 0) {
		close(r.idle)
		r.idle = nil
	}
}
