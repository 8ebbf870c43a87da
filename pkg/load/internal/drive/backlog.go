package drive

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A pause runs out by itself, so that a load that dies leaves no worker paused.
// It is renewed long before.
const (
	pauseFor   = 10 * time.Second
	pauseRenew = 2 * time.Second
)

// holdBack pauses the workers' intake until resume is called, which may be done
// more than once.
func holdBack(ctx context.Context, sys System) (resume func(context.Context) error, err error) {
	err = retryFor(ctx, pauseFor/2, func(ctx context.Context) error { return sys.Pause(ctx, pauseFor) })
	if err != nil {
		_ = sys.Pause(context.WithoutCancel(ctx), 0) // for those who did hear
		return nil, fmt.Errorf("pause the workers: %w", err)
	}
	renewing, end := context.WithCancel(ctx)
	var loop sync.WaitGroup
	loop.Go(func() {
		every := time.NewTicker(pauseRenew)
		defer every.Stop()
		for {
			select {
			case <-renewing.Done():
				return
			case <-every.C:
				_ = sys.Pause(renewing, pauseFor) // what it misses, the next one may reach
			}
		}
	})
	var once sync.Once
	var resumed error
	return func(ctx context.Context) error {
		once.Do(func() {
			end()
			loop.Wait()
			resumed = retryFor(ctx, pauseFor, func(ctx context.Context) error { return sys.Pause(ctx, 0) })
		})
		return resumed
	}, nil
}
