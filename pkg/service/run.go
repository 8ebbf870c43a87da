package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"

	"example.com/lockstep/pkg/lifecycle"
)

// Failing is a part that can fail after its start. The first error stops the service. A nil error or a closed channel means that
// none will follow.
type Failing interface {
	lifecycle.Part
	Failed() <-chan error
}

// ErrSecondSignal is returned by Run when a second signal cut its stop short.
var ErrSecondSignal = errors.New("ended at once by a second signal")

// abortTimeout is how long a part may take to abort once the soft limit has passed.
const abortTimeout = 2 * time.Second

// phase is the state of the service itself in /readyz.
type phase string

const (
	starting phase = "starting"
	running  phase = "ok"
	stopping phase = "stopping"
)

// Run starts the parts in order and returns when they have stopped. One of StopSignals, the end of ctx, or a part's failure stops
// them in reverse order. All of them share cfg.StopTimeout; after it the remaining work is aborted. A second signal ends Run at
// once with ErrSecondSignal. Else the error is that of a start, a failure or a stop.
func Run(ctx context.Context, cfg Config, log *slog.Logger, parts ...lifecycle.Part) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, StopSignals()...)
	defer signal.Stop(signals)
	defer ReleaseMemory()()
	s := &supervisor{signals: signals, stopTimeout: cfg.StopTimeout, log: log, parts: parts}
	return s.run(ctx)
}

type supervisor struct {
	signals     <-chan os.Signal
	stopTimeout time.Duration
	log         *slog.Logger
	parts       []lifecycle.Part
}

func (s *supervisor) run(ctx context.Context) error {
	s.enter(starting)
	began := time.Now()
	starts, abort := context.WithCancel(ctx)
	defer abort()
	started, err := s.start(starts, abort)
	if errors.Is(err, ErrSecondSignal) {
		return err
	}
	if err == nil && starts.Err() == nil {
		s.enter(running)
		s.log.Info("started", "took", time.Since(began))
		err = s.wait(ctx)
	}
	s.enter(stopping)
	return errors.Join(err, s.stop(started))
}

// start starts the parts one after the other and returns those that need a stop. A
// signal aborts it.
func (s *supervisor) start(ctx context.Context, abort context.CancelFunc) ([]lifecycle.Part, error) {
	var started []lifecycle.Part
	done := make(chan error, 1)
	go func() {
		for _, part := range s.parts {
			if ctx.Err() != nil {
				break
			}
			started = append(started, part)
			if err := part.Start(ctx); err != nil {
				done <- fmt.Errorf("cannot start: %w", err)
				return
			}
		}
		done <- nil
	}()
	signalled := false
	for {
		select {
		case err := <-done:
			if ctx.Err() != nil && errors.Is(err, context.Canceled) {
				err = nil
			}
			return started, err
		case sig := <-s.signals:
			if signalled {
				return nil, ErrSecondSignal
			}
			signalled = true
			s.log.Info("stopping", "reason", sig.String())
			abort()
		}
	}
}

// wait returns when it is time to stop, with the failure if that is the reason.
func (s *supervisor) wait(ctx context.Context) error {
	failures := make(chan error)
	done := make(chan struct{})
	var watchers sync.WaitGroup
	defer watchers.Wait()
	defer close(done)
	for _, part := range s.parts {
		failing, ok := part.(Failing)
		if !ok {
			continue
		}
		watchers.Go(func() {
			select {
			case err := <-failing.Failed():
				if err == nil {
					return
				}
				select {
				case failures <- fmt.Errorf("failed: %w", err):
				case <-done:
				}
			case <-done:
			}
		})
	}
	select {
	case sig := <-s.signals:
		s.log.Info("stopping", "reason", sig.String())
		return nil
	case <-ctx.Done():
		s.log.Info("stopping", "reason", context.Cause(ctx).Error())
		return nil
	case err := <-failures:
		s.log.Info("stopping", "reason", "a part failed")
		return err
	}
}

// stop stops the parts in reverse order.
func (s *supervisor) stop(parts []lifecycle.Part) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), s.stopTimeout)
	defer cancel()
	stopped := make(chan error, 1)
	go func() {
		var errs []error
		for _, part := range slices.Backward(parts) {
			if err := part.Stop(ctx); err != nil {
				errs = append(errs, fmt.Errorf("stop: %w", err))
			}
		}
		stopped <- errors.Join(errs...)
	}()
	overdue := time.NewTimer(s.stopTimeout + abortTimeout)
	defer overdue.Stop()
	select {
	case err := <-stopped:
		s.log.Info("stopped", "took", time.Since(began))
		return err
	case <-s.signals:
		return ErrSecondSignal
	case <-overdue.C:
		return fmt.Errorf("still not stopped %s after the soft limit of %s", abortTimeout, s.stopTimeout)
	}
}

func (s *supervisor) enter(p phase) {
	for _, part := range s.parts {
		if admin, ok := part.(*Admin); ok {
			admin.enter(p)
		}
	}
}
