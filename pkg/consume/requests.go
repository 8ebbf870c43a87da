package consume

import (
	"context"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/topology"
)

// raiseCaps raises a shard's caps at an operator's request.
func (w *Worker) raiseCaps(ctx context.Context, shard int, by topology.Caps) (topology.Caps, error) {
	r := &request{ctx: ctx, raise: by, done: make(chan struct{})}
	err := w.owners.ask(shard, r)
	return r.caps, err
}

// dropEvents drops events that are set aside, at an operator's request.
func (w *Worker) dropEvents(ctx context.Context, shard int, c frame.Command) error {
	return w.owners.ask(shard, &request{ctx: ctx, drop: &c, done: make(chan struct{})})
}
