package consume

import (
	"context"
	"errors"
	"slices"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

// checkStore looks that each key's state, and the list behind it, are what the items before d.held make of it.
func (d *differential) checkStore() {
	kept := append([]string(nil), d.store.Keys()...)
	for key := range d.keys() {
		end := d.held
		list, _ := waiting(d.t, d.store, key)
		if len(list) > 0 {
			end = d.want.find(list[0])
			require.Equal(d.t, d.want.between(key, end, d.held), list, "list of key %s as of item %d", key, d.held)
		}
		want, ok := d.want.state(key, end)
		require.Equal(d.t, ok, slices.Contains(kept, key), "a commit is a prefix of the log: key %s as of item %d", key, d.held)
		if ok {
			require.Equal(d.t, want, d.stored(key), "key %s as of item %d", key, end)
		}
	}
}

func (d *differential) keys() map[string]bool {
	out := make(map[string]bool)
	for i := range d.want.all.items {
		out[string(d.want.all.items[i].key)] = true
	}
	return out
}

func (d *differential) stored(key string) made {
	states, _, err := d.store.At("one").States(context.Background(), testShard, []string{key})
	require.NoError(d.t, err)
	proof, envelope, err := store.SplitState(states[0])
	require.NoError(d.t, err)
	return made{*d.read(envelope), proof}
}

func (d *differential) read(envelope []byte) *ids {
	state, err := (&troubled{}).Decode(envelope)
	require.NoError(d.t, err)
	return state.(*ids)
}

// checkCache looks that each state in the cache is what the items that it is said to hold make of its key.
func (d *differential) checkCache(s *shard, r *round, base int) {
	for key, e := range s.cache.entries {
		require.Equal(d.t, e.changed, slices.Contains(s.cache.dirty, e))
		end := max(d.held, base+r.next)
		if e.changed {
			require.GreaterOrEqual(d.t, int(e.last), r.next)
			end = base + int(e.last) + 1
		} else if _, err := d.store.At("one").Load(context.Background(), s.n, s.version, nil); errors.Is(err, store.ErrStale) {
			continue // the store is another's now
		}
		state := e.state
		if state == nil {
			state = d.read(e.envelope)
		}
		if l := s.lists[key]; l != nil && l.stored {
			list, _ := waiting(d.t, d.store, key)
			end = min(end, d.want.find(list[0]))
		} else if l != nil {
			end = min(end, base+l.from)
		}
		want, _ := d.want.state(key, end)
		require.Equal(d.t, append(ids(nil), want.ids...), append(ids(nil), *state.(*ids)...), "key %s before item %d", key, end)
		require.Equal(d.t, want.proof, e.proof, "key %s before item %d", key, end)
	}
	sum, waits := 0, make(map[string]bool)
	for i := r.next; i < len(r.items); i++ {
		it := &r.items[i]
		switch it.outcome {
		case applied, given:
			require.False(d.t, waits[string(it.key)], "item %d is applied before an earlier one of its key", i)
			require.True(d.t, it.entry.changed)
		case pending, undone, failed, setAside:
			waits[string(it.key)] = true
		}
		sum += len(r.result(i))
		if r.result(i) != nil {
			require.True(d.t, it.outcome.changes())
		}
	}
	require.Equal(d.t, sum, r.resultBytes)
}

// checkRuns looks how often an event was applied until its round was committed.
func (d *differential) checkRuns(r *round, base int, careful bool) {
	bad := make(map[string]bool) // keys
	for i := range r.items {
		if id := d.want.ids[base+i]; d.fails[id] || d.want.drops[id] {
			bad[string(r.items[i].key)] = true
		}
	}
	for i := range r.items {
		if !d.want.fates[base+i].applied {
			continue
		}
		n := d.h.succeeded[d.want.ids[base+i]]
		require.LessOrEqual(d.t, n, 2, "item %d", base+i)
		if careful || d.steady && !bad[string(r.items[i].key)] {
			require.LessOrEqual(d.t, n, 1, "item %d", base+i)
		}
	}
}
