package group

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

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
	if _, there := g.revision[g.id]; !there {
		g.missing()
	}
}

// change takes a change of one member. The caller holds mu.
func (g *Group) change(e jetstream.KeyValueEntry) {
	_, known := g.revision[e.Key()]
	if e.Operation() == jetstream.KeyValuePut {
		if !known {
			g.cfg.Log.Info("member joined", "member", e.Key())
		}
		g.revision[e.Key()] = e.Revision()
		return
	}
	if known {
		g.cfg.Log.Info("member left", "member", e.Key())
	}
	delete(g.revision, e.Key())
	delete(g.proofs, e.Key())
	if e.Key() == g.id {
		g.missing()
	}
}

// missing joins again: other members took this one for dead, or the bucket lost its entry. The caller holds mu.
func (g *Group) missing() {
	if g.leaving {
		return
	}
	g.cfg.Log.Warn("own member entry is missing; joining again")
	g.rejoins.Add(1)
	go g.rejoin()
}

func (g *Group) rejoin() {
	defer g.rejoins.Done()
	for g.staying.Err() == nil {
		ctx, cancel := context.WithTimeout(g.staying, time.Second)
		_, err := g.members.Put(ctx, g.id, g.self)
		cancel()
		if err == nil {
			return
		}
		select { // without a connection it fails at once
		case <-time.After(retryMin):
		case <-g.staying.Done():
		}
	}
}

// assign tells every seat whether its shard is assigned to this member. The caller holds mu.
func (g *Group) assign() {
	ids := slices.Collect(maps.Keys(g.revision))
	g.metrics.members.Set(float64(len(ids)))
	owners := Assign(g.cfg.Shards, ids)
	for i, s := range g.seats {
		s.want(!g.leaving && owners != nil && owners[i] == g.id)
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
