package consume

import (
	"bytes"
	"context"
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
		p := h.own(n)
		for i := 0; ; i++ {
			p.step()
			if p.r != nil && len(p.r.msgs) == 0 && p.read == len(h.log) {
				break
			}
			if i == 10_000 {
				h.broken("shard %d is never done", n)
			}
		}
	}
}

// states are those of all keys.
func (h *history) states() (keys []string, states [][]byte) {
	for _, p := range h.store.States() {
		proof, envelope, err := store.SplitState(p.Value)
		if err != nil {
			panic(err)
		}
		if proof.Count != uint64(len(envelope)/3) {
			h.broken("key %s counts %d events, its state has:%s", p.Key, proof.Count, summary(envelope))
		}
		keys, states = append(keys, p.Key), append(states, envelope)
	}
	return keys, states
}

// check holds what was applied against what was sent.
func (h *history) check() {
	keys, states := h.states()
	applied := make([][]bool, len(h.publishers)) // by publisher and tag
	for i, s := range h.publishers {
		applied[i] = make([]bool, len(s.posted))
	}
	for i, key := range keys {
		last := make([]int, len(h.publishers))
		for state := states[i]; len(state) > 0; state = state[3:] {
			n, tag := state[0]-1, int(tagOf(state))
			e := h.publishers[n].posted[tag]
			switch {
			case e.key != key:
				h.broken("event %d of publisher %d, of key %s, is applied to key %s", tag, n+1, e.key, key)
			case tag+1 == last[n] || applied[n][tag]:
				h.broken("twice: event %d of publisher %d is applied to key %s again:%s", tag, n+1, key, summary(states[i]))
			case tag < last[n]:
				h.broken("order: event %d of publisher %d is applied to key %s behind a later one:%s", tag, n+1, key, summary(states[i]))
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
	h.replay(keys, states)
}

// replay wipes the store and has the log worked off again: it must come to the same states.
func (h *history) replay(keys []string, states [][]byte) {
	before := h.totals()
	h.store.Wipe()
	clear(h.current)
	h.settle()
	again, replayed := h.states()
	if len(again) != len(keys) {
		h.broken("a replay comes to %d keys, not %d", len(again), len(keys))
	}
	for i, key := range keys {
		if !bytes.Equal(states[i], replayed[i]) {
			h.broken("a replay makes of key %s:%s, not%s", key, summary(replayed[i]), summary(states[i]))
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
