package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/store/storetest"
)

// moment is a past state of the store, to go back to.
type moment struct {
	kept     storetest.Snapshot
	versions []store.Version
}

func (f *flow) remember() {
	f.past = append(f.past, moment{f.kept.Snapshot(), slices.Clone(f.versions)})
}

// goBack makes the store lose its latest writes, of one slot or of each to another moment: mostly a few, sometimes all.
func (f *flow) goBack() {
	f.Note("went back")
	if f.Rand.IntN(3) == 0 {
		for n := range f.shards {
			f.goBackAlone(n)
		}
		return
	}
	f.goBackAlone(f.Rand.IntN(f.shards))
}

func (f *flow) goBackAlone(n int) {
	i := len(f.past) - 1
	if f.Rand.IntN(4) == 0 {
		i = f.Rand.IntN(len(f.past))
	}
	f.Say("the slot of shard %d goes back, %d of %d moments", n, len(f.past)-i, len(f.past))
	f.kept.RestoreSlot(n, f.past[i].kept)
	f.versions[n] = f.past[i].versions[n]
}

// tear loses a part of a slot, or sets it back apart from the rest.
func (f *flow) tear() {
	n := f.Rand.IntN(f.shards)
	hash := f.Rand.IntN(storetest.Hashes)
	switch f.Rand.IntN(4) {
	case 0:
		f.kept.Lose(n)
		f.versions[n] = ""
	case 1:
		f.kept.LoseHash(n, hash)
	default:
		f.kept.RestoreHash(n, hash, pick(f.World, f.past).kept)
	}
	if f.torn(n) {
		f.Note("torn")
		f.Say("the slot of shard %d is torn", n)
	}
}

func (f *flow) torn(n int) bool {
	f.mu.Lock()
	at := f.kept.At(f.topology)
	f.mu.Unlock()
	switch _, err := at.Intact(context.Background(), n); {
	case errors.Is(err, store.ErrTorn):
		return true
	case err != nil:
		panic(err)
	}
	return false
}

// compare holds the states that the store has against the events that were applied to each key, in order.
func (f *flow) compare(made map[string][]byte) {
	kept := make(map[string][]byte)
	for _, p := range f.kept.States() {
		kept[p.Key] = p.Value
	}
	for key, events := range made {
		if want := f.outcome(events, kept[key]); !bytes.Equal(want, kept[key]) {
			broken("key %s has %s, not %s", key, shown(kept[key]), shown(want))
		}
		delete(kept, key)
	}
	for key, state := range kept {
		broken("key %s, which the log does not have, has %s", key, shown(state))
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
