package consume

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// following is what a worker needs to follow the topology.
type following struct {
	ctx  context.Context // ends when the worker stops
	end  context.CancelFunc
	loop sync.WaitGroup
	away atomic.Pointer[string] // why the worker owns no shards; nil: it may own some
}

// why says why the worker owns no shards under the topology as it is; "": it may own some.
func (f *following) why() string {
	if away := f.away.Load(); away != nil {
		return *away
	}
	return ""
}

// followTopology keeps the worker in its group while the topology in NATS is the one that it joined. Under any other its shards
// may be other workers', and what it committed might be passed over: it lets its leases go, and takes leases anew when its own
// topology is back. It ends with ctx.
//
// After a newer epoch it does not come back, though the older topology is written again: events may have been acknowledged in the
// newer epoch, whose log it would pass over in silence. To go on by the older topology, restart all routers and workers.
func (w *Worker) followTopology(ctx context.Context) {
	for {
		changed := w.watcher.Changed()
		if err := w.unfollowed(); err != nil {
			w.goAway(err)
		} else {
			w.comeBack(ctx)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// unfollowed says why this worker may own no shards under the topology as it is now; nil: it may.
func (w *Worker) unfollowed() error {
	if err := w.watcher.Err(); err != nil {
		return err
	}
	now := w.watcher.Current()
	if slices.Equal(now.Epochs, w.topology.Epochs) {
		return nil
	}
	was, is := w.topology.Current(), now.Current()
	return fmt.Errorf("the topology has epoch %d with %d shards, this worker follows epoch %d with %d shards: restart it, "+
		"and upgrade it if it does not start", is.Epoch, is.Shards, was.Epoch, was.Shards)
}

// goAway takes the worker out of its group. Nothing is purged by it any more, either.
func (w *Worker) goAway(err error) {
	why := err.Error()
	before := w.follows.away.Swap(&why)
	if before == nil || *before != why {
		w.cfg.Log.Error("worker has let its shards go and takes none until its topology is back", "error", err)
	}
	if before != nil {
		return
	}
	w.server.Refuse("this worker owns no shards: " + why)
	w.group.Withdraw(err)
	if w.janitor != nil {
		_ = w.janitor.Stop(context.Background()) // returns nil, at once
		w.janitor = nil
	}
}

// comeBack joins the group again.
func (w *Worker) comeBack(ctx context.Context) {
	if w.follows.away.Swap(nil) == nil {
		return
	}
	w.cfg.Log.Info("the topology is back: worker takes shards again")
	w.server.Refuse("")
	w.group.Return()
	if w.cfg.JanitorLease == nil {
		return
	}
	if err := w.startJanitor(ctx); err != nil && ctx.Err() == nil {
		w.cfg.Log.Warn("this worker does not clean the log until it is restarted", "error", err)
	}
}
