package group

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"example.com/lockstep/pkg/lease"
	"github.com/nats-io/nats.go/jetstream"
)

// Times of unlocking on behalf of a member that is gone.
const (
	unlockTime  = 300 * time.Millisecond // for one try
	unlockEvery = 200 * time.Millisecond
	unlockFor   = lease.DefaultTTL // then the leases have expired by themselves
)

// unlock ends the leases of a dead member whose entry had the revision removed. While the lock servers cannot be reached it
// tries again, for as long as the leases may last, unless the member joins again.
func (g *Group) unlock(id string, removed uint64, shards []int) {
	ctx, cancel := context.WithTimeout(g.hard, unlockFor)
	defer cancel()
	tick := time.NewTicker(unlockEvery)
	defer tick.Stop()
	for {
		if g.joinedAfter(id, removed) {
			g.cfg.Log.Info("member is back and keeps its shards", "member", id, "shards", len(shards))
			return
		}
		var err error
		if shards, err = g.tryUnlock(ctx, id, shards); len(shards) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			g.cfg.Log.Warn("could not unlock shards; their leases expire by themselves", "member", id, "shards", len(shards), "error", err)
			return
		}
	}
}

// joinedAfter tells whether a member has an entry that is newer than a revision.
func (g *Group) joinedAfter(id string, revision uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.revision[id] > revision
}

// tryUnlock unlocks shards for a member, and returns those that it could not unlock and why. It unlocks them side by side: one
// lock server that hangs makes each of them take the time that is given to all.
func (g *Group) tryUnlock(ctx context.Context, id string, shards []int) (left []int, err error) {
	ctx, cancel := context.WithTimeout(ctx, unlockTime)
	defer cancel()
	errs := make([]error, len(shards))
	var unlocking sync.WaitGroup
	for i, shard := range shards {
		unlocking.Go(func() { errs[i] = g.cfg.Locker.Unlock(ctx, shard, id) })
	}
	unlocking.Wait()
	var freed []int
	for i, shard := range shards {
		if errs[i] == nil {
			freed = append(freed, shard)
		} else {
			left = append(left, shard)
		}
	}
	if len(freed) > 0 {
		g.announceReleased(freed...)
	}
	return left, cmp.Or(errs...)
}

func isWrongRevision(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || strings.Contains(err.Error(), "wrong last sequence")
}
