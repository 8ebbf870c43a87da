package consume

import (
	"context"
	"errors"
	"time"

	"example.com/lockstep/pkg/store"
)

const (
	lookTime  = 5 * time.Second // for one look at the store
	lookPause = time.Second     // between two: a pool makes many connections at once
)

// watchStore looks every minute, and after each new connection, whether the store is still suitable: its settings may be
// changed, and a connection may lead to another server. While it is not, the shards stop. It ends with ctx.
func (w *Worker) watchStore(ctx context.Context) {
	reconnected := w.store.Reconnected()
	for wait := w.waits.look; ; {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-reconnected:
			w.reconnects.Add(1)
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		answered := w.lookAtStore(ctx)
		sure, err := w.sameStore(ctx)
		if err != nil {
			return // it ends the worker
		}
		wait = w.waits.look
		if !answered || !sure || w.fitness.err() != nil {
			wait = w.waits.stopped
		}
		if sleep(ctx, nil, min(lookPause, w.waits.look)) {
			return
		}
	}
}

// lookAtStore tells the shards whether the store is suitable now, and the caller whether the store answered.
func (w *Worker) lookAtStore(ctx context.Context) (answered bool) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	err := w.store.Check(ctx, w.topology.Current().Shards)
	switch {
	case err == nil, errors.Is(err, store.ErrUnsuitable), errors.Is(err, store.ErrTopology), errors.Is(err, store.ErrFormat):
		w.fitness.set(err)
		return true
	}
	return false
}
