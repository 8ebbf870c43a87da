package stack

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Stop ends everything in order: APIs and routers, so that no more events are accepted; the workers, which finish their rounds;
// then Redis and NATS. A process that does not end in time is killed and named in the error. When ctx ends, all are killed.
func (s *Stack) Stop(ctx context.Context) error {
	s.halt(errStopped)
	defer context.AfterFunc(ctx, s.abort)()
	s.stopOnce.Do(func() { s.stopErr = s.stop() })
	return s.stopErr
}

func (s *Stack) stop() error {
	s.starting.Lock()
	defer s.starting.Unlock()
	defer s.abort()
	errs := []error{
		s.retract(),
		s.stopServices(s.apis),
		s.stopServices(s.routers),
		s.stopServices(s.workers),
	}
	if s.redis != nil {
		ctx, cancel := context.WithTimeout(s.aborted, redisStop)
		errs = append(errs, s.redis.stop(ctx))
		cancel()
	}
	for _, l := range s.locks {
		ctx, cancel := context.WithTimeout(s.aborted, redisStop)
		errs = append(errs, l.stop(ctx))
		cancel()
	}
	if s.nats != nil {
		ctx, cancel := context.WithTimeout(s.aborted, natsStop)
		errs = append(errs, s.nats.stop(ctx))
		cancel()
	}
	s.starter.Close()
	errs = append(errs, s.dir.Close())
	return errors.Join(errs...)
}

// retract removes stack.json: other programs should no longer use the stack.
func (s *Stack) retract() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = false
	return s.dir.Retract()
}

// stopServices stops processes side by side within one time limit.
func (s *Stack) stopServices(children []*child) error {
	ctx, cancel := context.WithTimeout(s.aborted, serviceStop)
	defer cancel()
	errs := make([]error, len(children))
	var all sync.WaitGroup
	for i, c := range children {
		all.Go(func() {
			if err := c.keeper.Stop(ctx); err != nil {
				errs[i] = fmt.Errorf("%s %w", c.name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
