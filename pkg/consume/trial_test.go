package consume

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/store/storetest"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// trial works on a log as an owner does, on a store and under faults that it draws.
type trial struct {
	t       *rapid.T
	rand    *rand.Rand
	store   *storetest.Memory
	budget  budget
	handler Handler
	faults  bool
	told    map[string]int // receipts, by event
	loads   map[string]int // by key
	fence   uint64
}

func (o *trial) one(n int) bool { return o.faults && o.rand.IntN(n) == 0 }

// run owns the shard until the log is worked off, or something ends the ownership.
func (o *trial) run(log []message) (done bool) {
	s := claim(o.t, o.store, &o.budget)
	defer s.cache.clear()
	require.Greater(o.t, s.fence, o.fence)
	o.fence = s.fence
	next := slices.IndexFunc(log, func(m message) bool { return m.seq > s.position.Seq })
	for next >= 0 && next < len(log) {
		n := min(len(log), next+1+o.rand.IntN(4))
		if !o.work(s, roundOf(o.t, log[next:n]...)) {
			return false
		}
		next = n
	}
	return true
}

func (o *trial) work(s *shard, r *round) bool {
	for {
		if o.one(40) {
			return false // killed
		}
		if o.one(60) {
			_, err := o.store.At("one").Claim(context.Background(), s.n, 1, store.NewVersion()) // by another
			require.NoError(o.t, err)
		}
		if o.one(400) {
			o.store.Wipe()
			o.fence = 0 // as revisions do not come from here, only they keep it growing
		}
		for _, key := range s.missing(r) {
			o.loads[key]++
		}
		if err := load(o.t, o.store, s, r); err != nil {
			require.ErrorIs(o.t, err, store.ErrStale)
			return false
		}
		s.spent.Store(false)
		runPass(s, o.slow(s), r)
		c, end := s.commit(o.handler, r, epochStart)
		if c == nil {
			continue
		}
		if err := o.store.At("one").Commit(context.Background(), c); err != nil {
			require.ErrorIs(o.t, err, store.ErrStale)
			return false
		}
		if o.one(40) {
			return false // killed before it knew
		}
		o.tell(s)
		s.committed(c, r, end)
		o.requireClean(s, r)
		if r.done() {
			require.Empty(o.t, s.cache.dirty)
			require.True(o.t, o.budget.used.Load() <= o.budget.max || len(s.cache.entries) == 0, "the cache is bounded")
			return true
		}
	}
}

// slow is the handler, which now and then has taken its time.
func (o *trial) slow(s *shard) Handler {
	return after{o.handler, func() {
		if o.one(5) {
			s.spent.Store(true)
		}
	}}
}

// after is a handler behind whose events something happens.
type after struct {
	Handler
	do func()
}

func (a after) Apply(ctx context.Context, state any, ev Event) error {
	defer a.do()
	return a.Handler.Apply(ctx, state, ev)
}

// tell takes the receipts of a commit: each must be for an event that the store has.
func (o *trial) tell(s *shard) {
	for to, seqs := range s.receipts {
		for _, seq := range seqs {
			ev := Event{publisher: to.publisher, seq: seq, framed: &frame.Event{}}
			o.told[ev.ID()]++
			found := false
			for _, key := range o.store.Keys() {
				found = found || slices.Contains(stored(o.t, o.store, key), ev.ID())
			}
			require.True(o.t, found, "a receipt for %s, which is not committed", ev.ID())
		}
	}
}

// requireClean looks that what is said to be committed is what the store has: the states, and all that was seen where
// nothing waits.
func (o *trial) requireClean(s *shard, r *round) {
	if r.next == r.seen {
		s.record.Changes(func(id frame.PublisherID, _ []byte) { require.Fail(o.t, "changed: "+id.String()) })
		require.Empty(o.t, s.cache.dirty)
		require.Zero(o.t, s.tally)
		require.Zero(o.t, r.resultBytes)
	}
	require.Empty(o.t, s.receipts)
	for key, e := range s.cache.entries {
		require.Equal(o.t, e.changed, slices.Contains(s.cache.dirty, e))
		if e.state == nil || e.changed {
			continue
		}
		b, err := e.stored(o.handler)
		require.NoError(o.t, err)
		stored, err := o.store.At("one").Load(context.Background(), s.n, s.version, []string{key})
		if errors.Is(err, store.ErrStale) {
			return // claimed by another meanwhile: nothing of this is of any use
		}
		require.NoError(o.t, err)
		if stored[0] != nil || len(*e.state.(*ids)) > 0 {
			require.Equal(o.t, string(stored[0]), string(b), "state of %s", key)
		}
	}
}

func newTrial(t *rapid.T, faults bool) *trial {
	o := &trial{
		t: t, rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), store: storetest.NewMemory(), faults: faults,
		told: make(map[string]int), loads: make(map[string]int),
	}
	o.budget.max = rapid.SampledFrom([]int64{1, 700, 1 << 20}).Draw(t, "cache bytes")
	o.handler = collect(func(Event) error {
		if o.one(60) {
			panic("the handler panicked")
		}
		if o.one(8) {
			return errRefused
		}
		return nil
	})
	return o
}

// Handlers fail, owners die, others claim the shard, the store forgets: each event is applied or set aside once, in the log's order.
func TestEachEventOnceInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := drawLog(t)
		o := newTrial(t, true)
		for attempts := 0; !o.run(log); attempts++ {
			require.Less(t, attempts, 10_000)
		}
		want := sequential(t, log)
		for key, events := range want {
			list, _ := waiting(t, o.store, key)
			require.Equal(t, events, append([]string(stored(t, o.store, key)), list...), "key %s", key)
		}
		require.Equal(t, log[len(log)-1].seq, claim(t, o.store, &o.budget).position.Seq)
		require.Zero(t, o.budget.used.Load(), "nothing is charged for a cache that is gone")
	})
}

// Without faults, each state is loaded once if the cache has room, and each receipt sent once.
func TestStatesAreLoadedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := drawLog(t)
		o := newTrial(t, false)
		require.True(t, o.run(log))
		for id, n := range o.told {
			require.Equal(t, 1, n, id)
		}
		if o.budget.max == 1<<20 {
			for key, n := range o.loads {
				require.Equal(t, 1, n, "loads of %s", key)
			}
		}
	})
}
