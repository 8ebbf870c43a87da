package consume

import (
	"context"
	"time"
)

// Bounds of the waits between two attempts at an event or a commit.
const (
	retryMin = 50 * time.Millisecond
	retryMax = 5 * time.Second
)

// claimMax is the longest wait between two attempts to serve a shard. It adds to every pause that outlasts some of them.
const claimMax = 2 * time.Second

// pace says how long an owner waits before it serves its shard again.
type pace struct{ next time.Duration }

// soon is the wait after an ending that passes by itself. It may come often, and does not make later waits longer.
func (p *pace) soon() time.Duration {
	p.next = 0
	return retryMin
}

// later is the wait after a failure, longer with each one in a row.
func (p *pace) later() time.Duration {
	wait := max(p.next, retryMin)
	p.next = min(2*wait, claimMax)
	return wait
}

// sleep waits, and tells whether the shard is to be handed over meanwhile.
func sleep(ctx context.Context, stop <-chan struct{}, d time.Duration) (stopped bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return false
	case <-stop:
	case <-ctx.Done():
	}
	return true
}
