package consume

import (
	"context"
	"errors"
	"fmt"

	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/store"
)

// next is an owner's next step when it cannot go on as it is.
type next int

const (
	handOver next = iota // release the shard
	rest                 // keep the claim, and no feed, until the pause ends
	reopen               // claim the shard and open its log again, soon
	reclaim              // the same, as another owner or another state of the store was found
	halt                 // look again from time to time: an operator must mend log or store
	tryLater             // claim the shard again, later each time
)

// ending is why an owner cannot go on as it is. nil: it can.
type ending struct {
	next next
	err  error // nil if next is handOver or rest
}

// because is the ending that an error leads to: nil for none.
func because(err error) *ending {
	to := tryLater
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrStale), errors.Is(err, group.ErrOutrun):
		to = reclaim
	case errors.Is(err, errInterrupted):
		to = reopen
	case errors.Is(err, errGap), errors.Is(err, store.ErrTopology), errors.Is(err, store.ErrTorn), errors.Is(err, store.ErrFormat),
		errors.Is(err, store.ErrUnsuitable):
		to = halt
	}
	return &ending{next: to, err: err}
}

// explained adds the cause of the context's end to an error, if the context has ended: that is why the call failed.
func explained(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}
