package group

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

func (g *Group) claimChanged(e jetstream.KeyValueEntry) {
	if e == nil {
		return
	}
	var shard int
	if _, err := fmt.Sscanf(e.Key(), "shard.%d", &shard); err != nil {
		return
	}
	var c claim
	if e.Operation() == jetstream.KeyValuePut && json.Unmarshal(e.Value(), &c) != nil {
		g.cfg.Log.Warn("claim ignored: it cannot be read", "shard", shard)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.claimed[shard] = c
}

// membersBegin is called before the watch delivers all members anew: members that are not among them have left.
func (g *Group) membersBegin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.arriving = make(map[string]uint64)
}

func (g *Group) memberChanged(e jetstream.KeyValueEntry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.noteProof(e)
	if g.arriving == nil {
		g.change(e)
		g.assign()
		return
	}
	switch {
	case e == nil:
		g.arrived()
		g.assign()
	case e.Operation() == jetstream.KeyValuePut:
		g.arriving[e.Key()] = e.Revision()
	default:
		delete(g.arriving, e.Key())
	}
}

// arrived takes the members that the watch has delivered anew. The caller holds mu.
func (g *Group) arrived() {
	for id := range g.revision {
		if _, still := g.arriving[id]; !still {
			g.cfg.Log.Info("member left", "member", id)
		}
	}
	g.revision, g.arriving, g.synced = g.arriving, nil, true
	maps.DeleteFunc(g.proofs, func(id string, _ string) bool { _, still := g.revision[id]; return !still })
	_, there := g.revision[g.id]
	g.entryIs(there)
}

// change takes a change of one member. The caller holds mu.
func (g *Group) change(e jetstream.KeyValueEntry) {
	_, known := g.revision[e.Key()]
	if e.Operation() == jetstream.KeyValuePut {
		if !known {
			g.cfg.Log.Info("member joined", "member", e.Key())
		}
		g.revision[e.Key()] = e.Revision()
		if e.Key() == g.id {
			g.entryIs(true)
		}
		return
	}
	if known {
		g.cfg.Log.Info("member left", "member", e.Key())
	}
	delete(g.revision, e.Key())
	delete(g.proofs, e.Key())
	if e.Key() == g.id {
		g.entryIs(false)
	}
}

// entryIs takes whether this member's entry is there. If it is missing, other members took this one for dead, or the bucket lost
// the entry: the member joins again. The caller holds mu.
func (g *Group) entryIs(there bool) {
	switch {
	case there != g.withdrawn() || g.leaving:
		return
	case !there:
		g.cfg.Log.Warn("own member entry is missing; joining again")
	}
	g.settle()
}

// assign tells every seat whether its shard is assigned to this member. The caller holds mu.
func (g *Group) assign() {
	ids := slices.Collect(maps.Keys(g.revision))
	g.metrics.members.Set(float64(len(ids)))
	owners := Assign(g.cfg.Shards, ids)
	for i, s := range g.seats {
		s.want(!g.leaving && !g.withdrawn() && owners != nil && owners[i] == g.id)
	}
}

// Others returns the ids of the other members, sorted.
func (g *Group) Others() []string {
	return slices.DeleteFunc(g.Members(), func(id string) bool { return id == g.id })
}

// Members returns the ids of the members that this one knows, sorted.
func (g *Group) Members() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.revision))
}
