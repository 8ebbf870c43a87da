package consume

import (
	"context"
	"time"

	"example.com/lockstep/pkg/store"
)

// stateWaiting is the state of a shard whose store cannot take a call for now. The reason is behind it.
const stateWaiting = "waiting for the store: "

// tellingWaits returns a context whose calls of the store note in the shard's status what they wait for. The owner makes one call
// at a time.
func (o *owner) tellingWaits(ctx context.Context) context.Context {
	var state, stuck string // before
	var began time.Time     // zero: no call waits
	log := o.cfg.Log.With("shard", o.n)
	return store.WithWaits(ctx, func(reason string) {
		if reason != "" {
			log.Warn("shard waits for the store", "reason", reason)
			o.note(func(s *shardStatus) {
				if began.IsZero() {
					state, stuck, began = s.state, s.stuck, time.Now()
				}
				s.sticks(stateWaiting + reason)
			})
			return
		}
		log.Info("shard no longer waits for the store", "after", time.Since(began))
		o.note(func(s *shardStatus) { s.state, s.stuck = state, stuck })
		began = time.Time{}
	})
}
