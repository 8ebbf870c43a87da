package consume

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"example.com/lockstep/pkg/store"
)

// heal ends all faults. What routers and the network kept comes in late, and everything is resolved.
func (h *history) heal() {
	h.healing = true
	h.say("healing")
	for i := 0; h.busy(); i++ {
		if i == 1000 {
			h.broken("it never heals")
		}
		h.now = h.now.Add(600 * time.Millisecond)
		for _, s := range h.publishers {
			s.pump()
		}
		for _, r := range h.routers {
			r.term.Renew(h.instant(), h.instant())
			for len(r.inbox) > 0 {
				r.take(take(h, &r.inbox))
			}
		}
		for len(h.flights) > 0 {
			h.fly()
		}
		for len(h.answers) > 0 {
			h.deliver()
		}
	}
	h.settle()
	zombies := h.owners[:len(h.owners)-h.shards]
	for range 10 {
		for _, p := range zombies {
			p.step()
		}
	}
	h.settle()
	for n := range h.shards { // while their owners have nothing to do
		switch h.rand.IntN(4) {
		case 0:
			h.goBackAlone(n)
		case 1:
			h.tear(n)
		}
	}
	h.workOff()
}

func (h *history) busy() bool {
	busy := len(h.flights) > 0 || len(h.answers) > 0
	for _, s := range h.publishers {
		busy = busy || s.w.Outstanding() > 0
	}
	for _, r := range h.routers {
		busy = busy || len(r.inbox) > 0 || r.g.Held() > 0
	}
	return busy
}

// settle gives every shard a new owner, which works off the log.
func (h *history) settle() {
	for n := range h.shards {
		h.own(n)
	}
	h.workOff()
}

// workOff has the newest owners work until their shards' slots hold all of the log.
func (h *history) workOff() {
	for _, p := range h.owners[len(h.owners)-h.shards:] {
		for i := 0; !p.idle(); i++ {
			if i == 10_000 {
				h.broken("shard %d is never done", p.n)
			}
			p.step()
		}
	}
}

// idle tells whether a shard's slot holds all of the log.
func (p *process) idle() bool {
	return p.r != nil && len(p.r.msgs) == 0 && p.atTip() && (p.sits || p.read == len(p.h.log)) && p.h.slots[p.n].version == p.s.version && !p.h.torn(p.n)
}

// check holds what was applied against what was sent.
func (h *history) check() {
	h.compare()
	courses := h.courses()
	h.checkReceipts(courses)
	applied := make([][]bool, len(h.publishers)) // by publisher and tag
	for i, s := range h.publishers {
		applied[i] = make([]bool, len(s.posted))
	}
	for _, key := range slices.Sorted(maps.Keys(courses)) {
		last := make([]int, len(h.publishers))
		all := courses[key].all()
		for events := all; len(events) > 0; events = events[3:] {
			n, tag := events[0]-1, int(tagOf(events))
			e := h.publishers[n].posted[tag]
			switch {
			case e.key != key:
				h.broken("event %d of publisher %d, of key %s, is applied to key %s", tag, n+1, e.key, key)
			case tag+1 == last[n] || applied[n][tag]:
				h.broken("twice: event %d of publisher %d is applied to key %s again:%s", tag, n+1, key, summary(all))
			case tag < last[n]:
				h.broken("order: event %d of publisher %d is applied to key %s behind a later one:%s", tag, n+1, key, summary(all))
			case e.outcome == never:
				h.broken("event %d of publisher %d was said not to be stored, and is applied", tag, n+1)
			}
			last[n], applied[n][tag] = tag+1, true
		}
	}
	for i, s := range h.publishers {
		for tag, e := range s.posted {
			if e.outcome == acknowledged && !applied[i][tag] {
				h.broken("lost: event %d of publisher %d, key %s, seq %d, was acknowledged", tag, i+1, e.key, e.Seq)
			}
		}
	}
	h.replay(courses)
}

// replay wipes the store and has the log worked off again: it must come to the same states.
func (h *history) replay(courses map[string]course) {
	before := h.totals()
	h.store.Wipe()
	clear(h.slots)
	h.settle()
	h.compare()
	again := h.courses()
	h.checkReceipts(again)
	if len(again) != len(courses) {
		h.broken("a replay comes to %d keys, not %d", len(again), len(courses))
	}
	for key, c := range courses {
		if !bytes.Equal(c.all(), again[key].all()) {
			h.broken("a replay applies to key %s:%s, not%s", key, summary(again[key].all()), summary(c.all()))
		}
	}
	for n, late := range h.totals() {
		if late != before[n] {
			h.broken("a replay counts %d late events of shard %d, not %d", late, n, before[n])
		}
	}
}

// totals are the shards' counts of late events.
func (h *history) totals() []uint64 {
	out := make([]uint64, h.shards)
	for n := range out {
		rec, err := h.store.At("one").Claim(context.Background(), n, 0, store.NewVersion())
		if err != nil {
			panic(err)
		}
		out[n] = rec.Late
	}
	return out
}
