package consume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/store/storetest"
)

// content is what a shard's slot is to hold. Its values are replaced and never changed: moments share them.
type content struct {
	version store.Version // what the next commit must name
	keys    map[string]course
}

// course is what the platform made of a key's events, three bytes for each.
type course struct {
	past  []byte // that were applied, or dropped, in order
	state []byte // that were applied since one of them deleted the state
	proof store.Proof
	waits []byte // that are set aside, in order
}

// all are the events of the course, in order.
func (c course) all() []byte { return append(slices.Clip(c.past), c.waits...) }

func (c course) apply(data []byte, deletes bool) course {
	c.past, c.state, c.proof = append(slices.Clip(c.past), data...), append(slices.Clip(c.state), data...), c.proof.Apply(data)
	if deletes {
		c.state, c.proof = nil, store.Proof{}
	}
	return c
}

func (c course) drop(data []byte) course {
	c.past = append(slices.Clip(c.past), data...)
	c.proof.Dropped++
	return c
}

func (c course) setAside(data []byte) course {
	c.waits = append(slices.Clip(c.waits), data...)
	return c
}

// stored is the key's state with its proof, as a store is to have it: nil if there is none.
func (c course) stored() []byte {
	if c.state == nil && c.proof == (store.Proof{}) {
		return nil
	}
	return append(c.proof.Append(nil), c.state...)
}

// change is what a commit does to the content of a slot.
type change struct {
	states, lists []string // keys
	settled       [][]byte // events that are applied or dropped
}

// apply returns the content behind a commit of a round's items up to end, and how they have changed it.
func (c content) apply(h *history, version store.Version, r *round, end int) (after content, by change) {
	after = content{version, maps.Clone(c.keys)}
	if after.keys == nil {
		after.keys = make(map[string]course)
	}
	for i := r.next; i < end; i++ {
		it, key := &r.items[i], string(r.items[i].key)
		c := after.keys[key]
		if it.outcome.changes() && len(c.waits) > 0 {
			h.broken("an event of key %s is applied past those that are set aside", key)
		}
		switch it.outcome {
		default:
			continue
		case applied:
			c = c.apply(it.ev.Data, h.deletes(it.ev.Data))
		case given:
			h.note("dropped")
			c = c.drop(it.ev.Data)
		case setAside:
			h.note("set aside")
			c = c.setAside(it.ev.Data)
			by.lists = append(by.lists, key)
		}
		if it.outcome.changes() {
			by.states, by.settled = append(by.states, key), append(by.settled, bytes.Clone(it.ev.Data))
		}
		after.keys[key] = c
	}
	return after, by
}

// sort is a number from 0 to n-1 that an event always has.
func sort(data []byte, n int) int { return (7*int(data[0]) + int(tagOf(data))) % n }

// deletes tells whether the handler deletes its key's state with this event.
func (h *history) deletes(data []byte) bool {
	return h.deleting > 0 && (int(data[0])+int(tagOf(data)))%h.deleting == 0
}

// drops tells whether the handler drops this event, and parks whether it parks the key for it, before it is mended.
func (h *history) drops(data []byte) bool { return h.picky && sort(data, 13) == 0 }
func (h *history) parks(data []byte) bool { return h.picky && sort(data, 17) == 1 }

// hold says that a commit has changed a shard's slot, and looks what the store now has of it.
func (h *history) hold(n int, after content, by change) {
	h.slots[n] = after
	states, err := h.store.At("one").Load(context.Background(), n, after.version, by.states) // what the commit has not touched may be torn
	if err != nil {
		h.broken("states of shard %d after a commit: %v", n, err)
	}
	for i, key := range by.states {
		if want := after.keys[key].stored(); !bytes.Equal(want, states[i]) {
			h.broken("a commit makes of key %s %s, not %s", key, shown(states[i]), shown(want))
		}
	}
	for _, key := range by.lists {
		h.holdList(n, key, after.keys[key].waits)
	}
}

// holdList looks what the store has of a key's events that are set aside.
func (h *history) holdList(n int, key string, waits []byte) {
	head, events, torn := h.list(n, key)
	if torn {
		return // elsewhere than the commit at hand wrote
	}
	var got []byte
	for i := range events {
		got = append(got, events[i].Data...)
	}
	switch {
	case !bytes.Equal(got, waits):
		h.broken("of key %s are set aside:%s, not%s", key, summary(got), summary(waits))
	case head != nil && head.Status == aside.Retrying && head.Attempts == 1 && h.parks(waits[:3]) && !h.mended:
		h.broken("key %s is not parked", key)
	case head != nil && head.Len() != uint64(len(events)):
		h.broken("the list of key %s has %d events, not %d", key, len(events), head.Len())
	}
}

// list is what the store has of a key's events that are set aside; no head: none are. torn: the store cannot tell.
func (h *history) list(n int, key string) (_ *aside.Head, events []aside.Event, torn bool) {
	at := h.store.At("one")
	_, heads, err := at.States(context.Background(), n, []string{key})
	switch {
	case errors.Is(err, store.ErrTorn):
		return nil, nil, true
	case err != nil:
		h.broken("read the head of key %s: %v", key, err)
	case heads[0] == nil:
		return nil, nil, false
	}
	head, err := aside.DecodeHead(heads[0])
	if err != nil {
		h.broken("the head of key %s: %v", key, err)
	}
	kept, err := at.Aside(context.Background(), n, "", key, head.First, int(head.Len())+1)
	switch {
	case errors.Is(err, store.ErrTorn):
		return nil, nil, true
	case err != nil:
		h.broken("read the list of key %s: %v", key, err)
	}
	for _, b := range kept {
		e, err := aside.DecodeEvent(b)
		if err != nil {
			h.broken("an event of the list of key %s: %v", key, err)
		}
		events = append(events, e)
	}
	return &head, events, false
}

// compare holds all that the store has against what it is to have.
func (h *history) compare() {
	kept := make(map[string][]byte)
	for _, p := range h.store.States() {
		kept[p.Key] = p.Value
	}
	for key, c := range h.courses() {
		if want := c.stored(); !bytes.Equal(want, kept[key]) {
			h.broken("key %s has %s, not %s", key, shown(kept[key]), shown(want))
		}
		h.holdList(h.shardOf([]byte(key)), key, c.waits)
		delete(kept, key)
	}
	for key, state := range kept {
		h.broken("key %s, to which nothing was applied, has %s", key, shown(state))
	}
}

// shown is a stored state for people.
func shown(stored []byte) string {
	if len(stored) == 0 {
		return "no state"
	}
	proof, envelope, err := store.SplitState(stored)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d events with chain %016x:%s", proof.Count, proof.Chain, summary(envelope))
}

// courses are those of the keys of all shards.
func (h *history) courses() map[string]course {
	out := make(map[string]course)
	for _, s := range h.slots {
		maps.Copy(out, s.keys)
	}
	return out
}

// moment is what a slot goes back to.
type moment struct {
	kept  storetest.Snapshot
	slots []content
}

func (h *history) remember() moment { return moment{h.store.Snapshot(), slices.Clone(h.slots)} }

// goBack makes the store lose its latest writes: mostly those of one slot, now and then everything.
func (h *history) goBack() {
	switch {
	case h.one(12):
		h.note("wiped")
		h.say("the store is empty")
		h.store.Restore(h.moments[0].kept)
		copy(h.slots, h.moments[0].slots)
	case h.one(4):
		for n := range h.shards {
			h.goBackAlone(n)
		}
	default:
		h.goBackAlone(h.rand.IntN(h.shards))
	}
}

// goBackAlone sets one slot back: often to where an owner believes it to be, else mostly not far.
func (h *history) goBackAlone(n int) {
	h.note("went back")
	from := h.moments[max(0, len(h.moments)-2):]
	if h.one(10) {
		from = h.moments
	}
	m := pick(h, from)
	if known := h.believed(n); len(known) > 0 && h.rand.IntN(3) == 0 {
		h.note("went back to an owner")
		m = pick(h, known)
	}
	h.say("the slot of shard %d goes back", n)
	h.store.RestoreSlot(n, m.kept)
	h.slots[n] = m.slots[n]
}

// believed are the moments whose slot is as some owner of the shard believes it to be.
func (h *history) believed(n int) (out []moment) {
	for _, m := range h.moments {
		if slices.ContainsFunc(h.owners, func(p *process) bool { return p.n == n && p.s != nil && p.s.version == m.slots[n].version }) {
			out = append(out, m)
		}
	}
	return out
}

// tear loses a part of a slot, or sets it back apart from the rest.
func (h *history) tear(n int) {
	switch hash := h.rand.IntN(storetest.Hashes); h.rand.IntN(4) {
	case 0:
		h.store.Lose(n)
		h.slots[n].version = ""
	case 1:
		h.store.LoseHash(n, hash)
	default:
		h.store.RestoreHash(n, hash, pick(h, h.moments).kept)
	}
	if h.torn(n) {
		h.note("torn")
		h.say("the slot of shard %d is torn", n)
	}
}

func (h *history) torn(n int) bool {
	_, err := h.store.At("one").Intact(context.Background(), n)
	return errors.Is(err, store.ErrTorn)
}

// unclaimed tells whether a shard has no record.
func (h *history) unclaimed(n int) bool {
	shards, err := h.store.At("one").Shards(context.Background(), n+1)
	if err != nil {
		h.broken("read the record of shard %d: %v", n, err)
	}
	return shards[n].Fence == 0
}
