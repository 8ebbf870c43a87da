package consume

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// runner runs the attempts of a pass one by one, as long as the handler is quick: then a pass costs no goroutine, and an event two
// atomic operations. If one call does not return soon, the owner takes the pass over: the runner keeps the call at hand and
// nothing else, and ends with it.
type runner struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	begin chan *round // cap 1
	over  chan struct{}

	turn     atomic.Uint64 // even: it decides; odd: a handler's call is under way; taken: the owner decides
	attempt  attempt       // at hand
	call     *call         // what the attempt has become, once prepared is closed
	prepared chan struct{}
}

const taken = math.MaxUint64

func newRunner(ctx context.Context) *runner {
	r := &runner{begin: make(chan *round, 1), over: make(chan struct{}, 1), prepared: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	return r
}

// run takes pass after pass, until begin is closed or a call was taken over.
func (ru *runner) run(s *shard, cs *calls) {
	for r := range ru.begin {
		for s.begin(r, &ru.attempt) {
			ru.turn.Add(1)
			res := ru.attempt.run(ru.ctx, cs.handler)
			if n := ru.turn.Load(); n == taken || !ru.turn.CompareAndSwap(n, n+1) {
				<-ru.prepared
				cs.returned(ru.call, res, context.Cause(ru.ctx))
				return
			}
			s.ended(r, &ru.attempt, &res)
			if ru.ctx.Err() != nil {
				break
			}
		}
		ru.over <- struct{}{}
	}
}

// calling returns the number of the call under way, or false if none is.
func (ru *runner) calling() (n uint64, ok bool) {
	n = ru.turn.Load()
	return n, n%2 == 1 && n != taken
}

// takeOver ends the runner's part in the pass while the call n is under way, and returns what that becomes. It returns nil if the call
// has ended.
func (ru *runner) takeOver(n uint64, cs *calls, began time.Time) *call {
	if !ru.turn.CompareAndSwap(n, taken) {
		return nil
	}
	ru.call = &call{attempt: ru.attempt, began: began, cancel: ru.cancel}
	cs.watch(ru.call, cs.timeout)
	close(ru.prepared)
	return ru.call
}
