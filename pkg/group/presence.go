package group

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Times of unlocking on behalf of a member that is gone.
const (
	unlockTime  = 300 * time.Millisecond // for one try
	unlockEvery = 200 * time.Millisecond
	unlockFor   = lease.DefaultTTL // then they have run out by themselves
)

// probe asks the neighbours whether they are there, and removes those that are not.
func (g *Group) probe() {
	defer g.loops.Done()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	state, up, reconnects := make(map[string]*health), time.Now(), g.nc.Stats().Reconnects
	for {
		select {
		case <-g.hard.Done():
			return
		case <-tick.C:
		}
		if n := g.nc.Stats().Reconnects; n != reconnects || !g.nc.IsConnected() {
			reconnects, up = n, time.Now()
		}
		ids := neighbours(g.id, g.Members(), probedMembers)
		maps.DeleteFunc(state, func(id string, _ *health) bool { return !slices.Contains(ids, id) })
		answers := g.ask(append(slices.Clone(ids), g.id))
		for _, id := range ids {
			h := state[id]
			if h == nil {
				h = new(health)
				state[id] = h
			}
			if v := h.judge(answers[id], time.Now(), up, g.steadyBefore); v != alive && !g.remove(id, v) {
				up = time.Now()
				break
			}
		}
	}
}

// ask probes members side by side, each for as long as the time between two probes. This one is among them: if it does not
// hear itself, it is its own connection that takes nothing, or brings nothing, and the silence of others tells nothing.
func (g *Group) ask(ids []string) map[string]answer {
	type result struct {
		id string
		a  answer
	}
	results := make(chan result, len(ids))
	ctx, cancel := context.WithTimeout(g.hard, probeEvery)
	defer cancel()
	for _, id := range ids {
		go func() {
			_, err := g.nc.RequestWithContext(ctx, topology.ControlSubject(g.cfg.App, "presence."+id), nil)
			a := heard
			if errors.Is(err, nats.ErrNoResponders) {
				a = refused
			} else if err != nil {
				a = silent
			}
			results <- result{id, a}
		}()
	}
	out := make(map[string]answer, len(ids))
	for range ids {
		r := <-results
		out[r.id] = r.a
	}
	if out[g.id] != heard {
		maps.DeleteFunc(out, func(_ string, a answer) bool { return a == silent })
	}
	return out
}

// remove takes a member's entry away, by compare-and-set, so that one of its probers does and a member that has joined
// again stays. Whoever removes one that is gone unlocks its leases. It returns false if this connection may be the cause, and
// nobody is to be judged for a while: on a server that is cut off from its cluster, none of the others is heard. There the
// bucket's leader is not heard either. And when it is again so may the others be, so they are asked once more behind it.
func (g *Group) remove(id string, v verdict) (judged bool) {
	rev, shards := g.mayHold(id)
	if rev == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(g.hard, time.Second)
	defer cancel()
	if _, err := g.members.Status(ctx); err != nil {
		g.cfg.Log.Warn("members are not judged: their bucket does not answer", "error", err)
		if g.cfg.Unanswered != nil {
			g.cfg.Unanswered()
		}
		return false
	}
	if a := g.ask([]string{id, g.id})[id]; a != refused && (v == gone || a != silent) {
		return true
	}
	if err := g.members.Delete(ctx, id, jetstream.LastRevision(rev)); err != nil {
		if !isWrongRevision(err) {
			g.cfg.Log.Warn("dead member not removed", "member", id, "error", err)
		}
		return true
	}
	g.metrics.removed.Inc()
	if v == hung {
		g.cfg.Log.Warn("member hangs and was removed; its leases run out by themselves", "member", id)
		return true
	}
	g.cfg.Log.Warn("member is gone and was removed; unlocking its shards", "member", id, "shards", len(shards))
	g.loops.Go(func() { g.unlock(id, rev, shards) })
	return true
}

// mayHold are the shards whose leases a member may hold: those that it has claimed, and those that are assigned to it, as it
// may have taken the lease and not claimed the shard so far. revision is that of its entry, 0 if it has none.
func (g *Group) mayHold(id string) (revision uint64, shards []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for shard, owner := range Assign(g.cfg.Shards, slices.Collect(maps.Keys(g.revision))) {
		if owner == id || g.claimed[shard].Member == id {
			shards = append(shards, shard)
		}
	}
	return g.revision[id], shards
}

// unlock ends the leases of a member that is gone, and whose entry had a revision. It tries again while the lock servers
// cannot be reached, for as long as the leases may last, unless the member turns out to have been away only.
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
			g.cfg.Log.Warn("shards not unlocked; their leases run out by themselves", "member", id, "shards", len(shards), "error", err)
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

// tryUnlock unlocks shards for a member, and returns those that it could not and why. They are unlocked side by side: one of
// several lock servers that hangs takes for each the time that is given to all.
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
