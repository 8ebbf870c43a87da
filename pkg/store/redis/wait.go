package redis

import (
	"context"
	"fmt"
	"time"

	"example.com/lockstep/pkg/store"
)

// Bounds of the waits between two attempts of a call that cannot be made for now.
const (
	againMin = 10 * time.Millisecond
	againMax = 250 * time.Millisecond
)

// toldAfter is from when on a caller is told what its call waits for.
const toldAfter = time.Second

// wait is how long a call has been waiting for something that passes by itself.
type wait struct {
	ctx   context.Context
	began time.Time
	next  time.Duration
	told  string // the reason that the caller knows
}

// pass waits until the call is to be made again. It returns an error if ctx ends meanwhile.
func (w *wait) pass(reason string) error {
	if reason != w.told && time.Since(w.began) > toldAfter {
		store.TellWait(w.ctx, reason)
		w.told = reason
	}
	w.next = min(max(2*w.next, againMin), againMax)
	again := time.NewTimer(w.next)
	defer again.Stop()
	select {
	case <-again.C:
		return nil
	case <-w.ctx.Done():
		return fmt.Errorf("%s: %w", reason, context.Cause(w.ctx))
	}
}

// over says that the call waits no longer.
func (w *wait) over() {
	if w.told != "" {
		store.TellWait(w.ctx, "")
	}
}
