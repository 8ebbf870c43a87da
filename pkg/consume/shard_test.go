package consume

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{})
	goleak.VerifyTestMain(m)
}

// quiet drops what go-redis says of a server that is down on purpose.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

const testShard = 3

var errRefused = errors.New("the handler refused")

// ids is the state of a key: the ids of the events applied to it, in order.
type ids []string

// collect remembers each event's id. fail is asked after the state was changed, when a failure does most harm.
func collect(fail func(Event) error) Handler {
	return Typed(func(_ context.Context, state *ids, ev Event) error {
		*state = append(*state, ev.ID())
		if fail != nil {
			return fail(ev)
		}
		return nil
	})
}

func stored(t require.TestingT, m *memoryData, key string) ids {
	state, err := collect(nil).Decode(m.states[key])
	require.NoError(t, err)
	return *state.(*ids)
}

func claim(t require.TestingT, m *memoryData, b *budget) *shard {
	rec, err := m.at("one").Claim(context.Background(), testShard, 1, store.NewVersion())
	require.NoError(t, err)
	s, err := claimed(testShard, rec, b)
	require.NoError(t, err)
	return s
}

func load(t require.TestingT, m *memoryData, s *shard, r *round) error {
	keys := s.missing(r)
	states, err := m.at("one").Load(context.Background(), s.n, s.version, keys)
	if err != nil {
		return err
	}
	for i, k := range keys {
		require.Nil(t, s.cache.entries[k], "loaded though it is cached")
		s.cache.put(k, states[i])
	}
	return nil
}

// owner works on a log as Worker.work does, on a store and under faults that it draws.
type owner struct {
	t       *rapid.T
	rand    *rand.Rand
	store   *memoryData
	budget  budget
	handler Handler
	faults  bool
	told    map[string]int // receipts, by event
	fence   uint64
}

func (o *owner) one(n int) bool { return o.faults && o.rand.IntN(n) == 0 }

// run owns the shard until the log is worked off, or something ends the ownership.
func (o *owner) run(log []message) (done bool) {
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

func (o *owner) work(s *shard, r *round) bool {
	limit := len(r.items)
	for {
		if o.one(40) {
			return false // killed
		}
		if o.one(60) {
			_, err := o.store.at("one").Claim(context.Background(), s.n, 1, store.NewVersion()) // by another
			require.NoError(o.t, err)
		}
		if o.one(400) {
			o.store.wipe()
			o.fence = 0 // as revisions do not come from here, only they keep it growing
		}
		if err := load(o.t, o.store, s, r); err != nil {
			require.ErrorIs(o.t, err, store.ErrStale)
			return false
		}
		c, failed := s.apply(context.Background(), o.handler, r, limit)
		if failed != nil {
			o.requireClean(s)
			if failed.item > r.next {
				limit = failed.item
			} else {
				limit = r.next + 1
			}
			continue
		}
		if err := o.store.at("one").Commit(context.Background(), c); err != nil {
			require.ErrorIs(o.t, err, store.ErrStale)
			return false
		}
		if o.one(40) {
			return false // killed before it knew
		}
		o.tell(s)
		s.committed(c, r, limit)
		o.requireClean(s)
		require.True(o.t, o.budget.used.Load() <= o.budget.max || len(s.cache.entries) == 0, "the cache is bounded")
		if r.done() {
			return true
		}
		limit = len(r.items)
	}
}

// tell takes the receipts of a commit: each must be for an event that the store has.
func (o *owner) tell(s *shard) {
	for to, seqs := range s.receipts {
		for _, seq := range seqs {
			ev := Event{publisher: to.publisher, seq: seq, framed: &frame.Event{}}
			o.told[ev.ID()]++
			found := false
			for key := range o.store.states {
				found = found || slices.Contains(stored(o.t, o.store, key), ev.ID())
			}
			require.True(o.t, found, "a receipt for %s, which is not committed", ev.ID())
		}
	}
}

// requireClean looks that nothing uncommitted is left: the record and the states are those of the store.
func (o *owner) requireClean(s *shard) {
	s.record.Changes(func(id frame.PublisherID, _ []byte) { require.Fail(o.t, "changed: "+id.String()) })
	require.Empty(o.t, s.cache.dirty)
	require.Empty(o.t, s.receipts)
	require.Zero(o.t, s.duplicates)
	for key, e := range s.cache.entries {
		require.False(o.t, e.changed)
		if e.state == nil {
			continue
		}
		b, err := o.handler.Encode(nil, e.state)
		require.NoError(o.t, err)
		if e.committed != nil || len(*e.state.(*ids)) > 0 {
			require.Equal(o.t, string(e.committed), string(b), "state of %s", key)
		}
	}
}

func newOwner(t *rapid.T, faults bool) *owner {
	o := &owner{t: t, rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), store: newMemory(), faults: faults, told: make(map[string]int)}
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

// Whatever fails, dies, is claimed by another or forgets: each event is applied once, in the log's order.
func TestEachEventOnceInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := drawLog(t)
		o := newOwner(t, true)
		for attempts := 0; !o.run(log); attempts++ {
			require.Less(t, attempts, 10_000)
		}
		want := sequential(t, log)
		require.Len(t, o.store.states, len(want))
		for key, events := range want {
			require.Equal(t, events, []string(stored(t, o.store, key)), "key %s", key)
		}
		require.Equal(t, log[len(log)-1].seq, o.store.shard(testShard).Position.Seq)
		require.Zero(t, o.budget.used.Load(), "nothing is charged for a cache that is gone")
	})
}

// Without faults, each state is loaded once if the cache has room, and each receipt sent once.
func TestStatesAreLoadedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := drawLog(t)
		o := newOwner(t, false)
		require.True(t, o.run(log))
		for id, n := range o.told {
			require.Equal(t, 1, n, id)
		}
		if o.budget.max == 1<<20 {
			for key, n := range o.store.loads {
				require.Equal(t, 1, n, "loads of %s", key)
			}
		}
	})
}

// A failure gives back the state of before: the events ahead of it are a segment of their own, and it begins the next.
func TestSegments(t *testing.T) {
	m := newMemory()
	b := budget{max: 1 << 20}
	s := claim(t, m, &b)
	broken := true
	h := collect(func(ev Event) error {
		if ev.seq == 3 && broken {
			return errRefused
		}
		return nil
	})
	r := roundOf(t, batchAt(5, one(1, "a")), batchAt(6, sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{{seq: 2, key: "b"}, {seq: 3, key: "a"}, {seq: 4, key: "b"}}}), batchAt(9, one(5, "a")))
	require.NoError(t, load(t, m, s, r))
	_, failed := s.apply(context.Background(), h, r, len(r.items))
	require.ErrorIs(t, failed.err, errRefused)
	require.Equal(t, 2, failed.item)
	require.Equal(t, "a", failed.key)

	c, failed := s.apply(context.Background(), h, r, 2)
	require.Nil(t, failed)
	require.Equal(t, uint64(5), c.Position.Seq, "message 6 is applied in part: the position stays before it")
	require.Equal(t, uint64(5), c.Since)
	require.Len(t, c.States, 2)
	require.Equal(t, map[receiptTo][]uint64{{frame.PublisherID{1}, 1}: {1}}, s.receipts)
	require.NoError(t, m.at("one").Commit(context.Background(), c))
	s.committed(c, r, 2)

	_, failed = s.apply(context.Background(), h, r, len(r.items))
	require.Equal(t, r.next, failed.item)
	broken = false
	c, failed = s.apply(context.Background(), h, r, 3)
	require.Nil(t, failed)
	require.Equal(t, uint64(5), c.Position.Seq)
	require.NoError(t, m.at("one").Commit(context.Background(), c))
	s.committed(c, r, 3)

	// Killed here, the next owner reads message 6 again, and applies of it what is left.
	s = claim(t, m, &b)
	r = roundOf(t, batchAt(6, sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{{seq: 2, key: "b"}, {seq: 3, key: "a"}, {seq: 4, key: "b"}}}), batchAt(9, one(5, "a")))
	require.NoError(t, load(t, m, s, r))
	c, failed = s.apply(context.Background(), h, r, len(r.items))
	require.Nil(t, failed)
	require.Equal(t, 2, s.duplicates)
	require.Equal(t, uint64(9), c.Position.Seq)
	require.Equal(t, uint64(6), c.Since)
	require.NoError(t, m.at("one").Commit(context.Background(), c))
	require.Len(t, stored(t, m, "a"), 3)
	require.Len(t, stored(t, m, "b"), 2)
}

func TestLateEventsAreCountedAndNotApplied(t *testing.T) {
	m := newMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	old := sent{publisher: 7, generation: 1, floor: 1, birth: epochStart.Add(-8 * 24 * time.Hour), events: []sentEvent{{seq: 1, key: "a", receipt: true}, {seq: 2, key: "b"}}}
	r := roundOf(t, batchAt(1, old, one(1, "a")))
	require.NoError(t, load(t, m, s, r))
	c, failed := s.apply(context.Background(), collect(nil), r, len(r.items))
	require.Nil(t, failed)
	require.Equal(t, uint64(2), c.Late)
	require.Contains(t, c.LateLast, "seq 2")
	require.Contains(t, c.LateLast, frame.PublisherID{7}.String())
	require.Len(t, c.States, 1)
	require.Len(t, s.receipts, 1)
	require.NoError(t, m.at("one").Commit(context.Background(), c))
	s.committed(c, r, len(r.items))
	require.Equal(t, uint64(2), claim(t, m, &budget{}).late, "the total is kept")
}

func TestStateThatCannotBeReadIsAFailure(t *testing.T) {
	m := newMemory()
	m.states["a"] = []byte{9, 9, 'x'}
	s := claim(t, m, &budget{max: 1 << 20})
	r := roundOf(t, batchAt(1, one(1, "b")), batchAt(2, one(2, "a")))
	require.NoError(t, load(t, m, s, r))
	_, failed := s.apply(context.Background(), collect(nil), r, len(r.items))
	require.Equal(t, 1, failed.item)
	require.ErrorContains(t, failed, "codec 9")
}

// explosive is a handler of an application's own, that panics wherever it can.
type explosive struct{ where string }

func (e explosive) at(where string) {
	if e.where == where {
		panic("boom in " + where)
	}
}
func (e explosive) Decode([]byte) (any, error)              { e.at("decode"); return new(int), nil }
func (e explosive) Encode([]byte, any) ([]byte, error)      { e.at("encode"); return []byte("x"), nil }
func (e explosive) Apply(context.Context, any, Event) error { e.at("apply"); return nil }

func TestPanicsAreFailures(t *testing.T) {
	for _, where := range []string{"decode", "encode", "apply"} {
		m := newMemory()
		s := claim(t, m, &budget{max: 1 << 20})
		r := roundOf(t, batchAt(1, one(1, "a")))
		require.NoError(t, load(t, m, s, r))
		_, failed := s.apply(context.Background(), explosive{where}, r, len(r.items))
		require.ErrorContains(t, failed, "boom in "+where)
		require.ErrorContains(t, failed, "shard_test.go", "with its stack")
		require.Empty(t, s.cache.dirty)
	}
}

// unwritable cannot encode a state that has taken a certain event.
type unwritable struct {
	Handler
	id string
}

func (u unwritable) Encode(b []byte, state any) ([]byte, error) {
	if slices.Contains(*state.(*ids), u.id) {
		return nil, errRefused
	}
	return u.Handler.Encode(b, state)
}

// A state that cannot be encoded is laid to the event that made it so: those before it are committed without a wait.
func TestStateThatCannotBeWritten(t *testing.T) {
	m := newMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	r := roundOf(t, batchAt(1, one(1, "a")), batchAt(2, one(2, "b")), batchAt(3, one(3, "a")), batchAt(4, one(4, "a")), batchAt(5, one(5, "b")))
	require.NoError(t, load(t, m, s, r))
	h := unwritable{collect(nil), frame.PublisherID{1}.String() + "-3"}
	limit := len(r.items)
	for _, want := range []int{3, 2} {
		_, failed := s.apply(context.Background(), h, r, limit)
		require.ErrorIs(t, failed.err, errRefused)
		require.Equal(t, want, failed.item)
		limit = failed.item
	}
	c, failed := s.apply(context.Background(), h, r, limit)
	require.Nil(t, failed)
	require.NoError(t, m.at("one").Commit(context.Background(), c))
	s.committed(c, r, limit)
	_, failed = s.apply(context.Background(), h, r, len(r.items))
	require.Equal(t, 3, failed.item)
	_, failed = s.apply(context.Background(), h, r, 3)
	require.Equal(t, r.next, failed.item, "it is what the shard waits for")
}
