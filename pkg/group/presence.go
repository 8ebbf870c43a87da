package group

import (
	"maps"
	"slices"
	"time"
)

// probe asks the neighbours and new members for a sign of life, and removes those that are dead.
func (g *Group) probe() {
	defer g.loops.Done()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	state, known := make(map[string]*health), make(map[string]bool)
	up, reconnects := time.Now(), g.nc.Stats().Reconnects
	for {
		select {
		case <-g.hard.Done():
			return
		case <-tick.C:
		}
		if n := g.nc.Stats().Reconnects; n != reconnects || !g.nc.IsConnected() {
			reconnects, up = n, time.Now()
		}
		ids := g.toProbe(known)
		maps.DeleteFunc(state, func(id string, _ *health) bool { return !slices.Contains(ids, id) })
		answers := g.ask(append(slices.Clone(ids), g.id))
		verdicts := make(map[string]verdict)
		for _, id := range ids {
			h := state[id]
			if h == nil {
				h = new(health)
				state[id] = h
			}
			if answers[id] == heard {
				known[id] = true
			}
			if v := h.judge(answers[id], time.Now(), up, g.steadyBefore); v != alive {
				verdicts[id] = v
			}
		}
		if !g.remove(verdicts) {
			up = time.Now()
		}
	}
}

// toProbe returns the members to probe: the neighbours, and members that have not answered yet, as shards may be assigned to
// entries that no process has put there. known are the members that have answered; those that left are removed from it.
func (g *Group) toProbe(known map[string]bool) []string {
	members := g.Members()
	maps.DeleteFunc(known, func(id string, _ bool) bool { _, still := slices.BinarySearch(members, id); return !still })
	ids := neighbours(g.id, members, probedMembers)
	for _, id := range members {
		if id != g.id && !known[id] && len(ids) < probedAtOnce && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}
