package group

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	removeTime   = time.Second
	removeAtOnce = 16 // so many members side by side
)

// suspect is a member that is to be removed.
type suspect struct {
	verdict  verdict
	revision uint64 // of its entry, 0 if it has none
	shards   []int  // whose leases it may hold
}

// remove removes members' entries by compare-and-set, so that one of their probers does it and a member that has joined again
// stays. The prober that removes a member unlocks its leases. remove returns false if this member's own connection may be the
// cause, and no member is to be judged for a while: over a server that is cut off from its cluster no other member answers,
// and the bucket's leader does not either. If the leader answers, the suspects are asked once more: they may be back too.
func (g *Group) remove(verdicts map[string]verdict) (judged bool) {
	suspects := g.suspects(verdicts)
	if len(suspects) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(g.hard, removeTime)
	defer cancel()
	if _, err := g.members.Status(ctx); err != nil {
		g.cfg.Log.Warn("no member is judged: the members bucket does not answer", "error", err)
		if g.cfg.Unanswered != nil {
			g.cfg.Unanswered()
		}
		return false
	}
	answers := g.ask(append(slices.Collect(maps.Keys(suspects)), g.id))
	var removing sync.WaitGroup
	free := make(chan struct{}, removeAtOnce)
	for id, s := range suspects {
		if a := answers[id]; a != refused && (s.verdict == gone || a != silent) {
			continue
		}
		free <- struct{}{}
		removing.Go(func() {
			defer func() { <-free }()
			g.removeOne(id, s)
		})
	}
	removing.Wait()
	return true
}

func (g *Group) removeOne(id string, s suspect) {
	ctx, cancel := context.WithTimeout(g.hard, removeTime)
	defer cancel()
	if err := g.members.Delete(ctx, id, jetstream.LastRevision(s.revision)); err != nil {
		if !isWrongRevision(err) {
			g.cfg.Log.Warn("could not remove a dead member", "member", id, "error", err)
		}
		return
	}
	g.metrics.removed.Inc()
	if s.verdict == hung {
		g.cfg.Log.Warn("member hung and was removed; its leases expire by themselves", "member", id)
		return
	}
	g.cfg.Log.Warn("member died and was removed; unlocking its shards", "member", id, "shards", len(s.shards))
	g.loops.Go(func() { g.unlock(id, s.revision, s.shards) })
}

// suspects returns the members with a verdict that have an entry, with the shards whose leases they may hold: those that they
// have claimed, and those that are assigned to them, as a member takes a lease before it claims the shard.
func (g *Group) suspects(verdicts map[string]verdict) map[string]suspect {
	out := make(map[string]suspect)
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, v := range verdicts {
		if rev := g.revision[id]; rev > 0 {
			out[id] = suspect{verdict: v, revision: rev}
		}
	}
	if len(out) == 0 {
		return nil
	}
	for shard, owner := range Assign(g.cfg.Shards, slices.Collect(maps.Keys(g.revision))) {
		claimed := g.claimed[shard].Member
		for _, id := range slices.Compact([]string{owner, claimed}) {
			if s, ok := out[id]; ok {
				s.shards = append(s.shards, shard)
				out[id] = s
			}
		}
	}
	return out
}
