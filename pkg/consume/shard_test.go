package consume

import (
	"context"
	"slices"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/store/storetest"
	"example.com/lockstep/pkg/testkit"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testkit.Main()
	redis.SetLogger(quiet{})
	goleak.VerifyTestMain(m)
}

// quiet drops what go-redis says of a server that is down on purpose.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

const testShard = 3

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

func stored(t require.TestingT, m *storetest.Memory, key string) ids {
	states, err := m.At("one").States(context.Background(), []string{key})
	require.NoError(t, err)
	state, err := collect(nil).Decode(states[0])
	require.NoError(t, err)
	return *state.(*ids)
}

func claim(t require.TestingT, m *storetest.Memory, b *budget) *shard {
	rec, err := m.At("one").Claim(context.Background(), testShard, 1, store.NewVersion())
	require.NoError(t, err)
	s := claimed(testShard, rec, b)
	require.NoError(t, m.At("one").Publishers(context.Background(), testShard, s.version, s.restore))
	return s
}

func load(t require.TestingT, m *storetest.Memory, s *shard, r *round) error {
	keys := s.missing(r)
	states, err := m.At("one").Load(context.Background(), s.n, s.version, keys)
	if err != nil {
		return err
	}
	s.fill(states)
	return nil
}

// A failure gives back the state of before: the events ahead of it are a segment of their own, and it begins the next.
func TestSegments(t *testing.T) {
	m := storetest.NewMemory()
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
	_, _, failed := s.apply(context.Background(), h, r, len(r.items))
	require.ErrorIs(t, failed.err, errRefused)
	require.Equal(t, 2, failed.item)
	require.Equal(t, "a", failed.key)

	require.NoError(t, load(t, m, s, r))
	c, _, failed := s.apply(context.Background(), h, r, 2)
	require.Nil(t, failed)
	require.Equal(t, uint64(5), c.Position.Seq, "message 6 is applied in part: the position stays before it")
	require.Equal(t, uint64(5), c.RoundStart)
	require.Len(t, c.States, 2)
	require.Equal(t, map[receiptTo][]uint64{{frame.PublisherID{1}, 1}: {1}}, s.receipts)
	require.NoError(t, m.At("one").Commit(context.Background(), c))
	s.committed(c, r, 2)

	require.NoError(t, load(t, m, s, r))
	_, _, failed = s.apply(context.Background(), h, r, len(r.items))
	require.Equal(t, r.next, failed.item)
	broken = false
	_, _, failed = s.apply(context.Background(), h, r, 3)
	require.ErrorContains(t, failed.err, "was not loaded", "what the failed handler has changed is gone")
	require.NoError(t, load(t, m, s, r))
	c, _, failed = s.apply(context.Background(), h, r, 3)
	require.Nil(t, failed)
	require.Equal(t, uint64(5), c.Position.Seq)
	require.NoError(t, m.At("one").Commit(context.Background(), c))
	s.committed(c, r, 3)

	// Killed here, the next owner reads message 6 again, and applies of it what is left.
	s = claim(t, m, &b)
	r = roundOf(t, batchAt(6, sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{{seq: 2, key: "b"}, {seq: 3, key: "a"}, {seq: 4, key: "b"}}}), batchAt(9, one(5, "a")))
	require.NoError(t, load(t, m, s, r))
	c, _, failed = s.apply(context.Background(), h, r, len(r.items))
	require.Nil(t, failed)
	require.Equal(t, 2, s.duplicates)
	require.Equal(t, uint64(9), c.Position.Seq)
	require.Equal(t, uint64(6), c.RoundStart)
	require.NoError(t, m.At("one").Commit(context.Background(), c))
	require.Len(t, stored(t, m, "a"), 3)
	require.Len(t, stored(t, m, "b"), 2)
}

// A handler that has taken its time ends the segment with the event at hand. Nothing is applied twice, and nothing left out.
func TestSlowHandlerEndsTheSegment(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	h := collect(func(ev Event) error {
		if ev.seq%2 == 0 {
			s.stint.spent.Store(true)
		}
		return nil
	})
	r := roundOf(t, batchAt(5, sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{{seq: 1, key: "a"}, {seq: 2, key: "b"}, {seq: 3, key: "a", receipt: true}}}), batchAt(6, one(4, "b"), one(5, "a")))
	for _, want := range []struct{ end, position int }{{2, 0}, {4, 5}, {5, 6}} {
		require.NoError(t, load(t, m, s, r))
		c, end, failed := s.apply(context.Background(), h, r, len(r.items))
		require.Nil(t, failed)
		require.Equal(t, want.end, end)
		require.Equal(t, uint64(want.position), c.Position.Seq)
		require.NoError(t, m.At("one").Commit(context.Background(), c))
		s.committed(c, r, end)
	}
	require.True(t, r.done())
	require.Len(t, stored(t, m, "a"), 3)
	require.Len(t, stored(t, m, "b"), 2)
}

func TestLateEventsAreCountedAndNotApplied(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	old := sent{publisher: 7, generation: 1, floor: 1, birth: epochStart.Add(-8 * 24 * time.Hour), events: []sentEvent{{seq: 1, key: "a", receipt: true}, {seq: 2, key: "b"}}}
	r := roundOf(t, batchAt(1, old, one(1, "a")))
	require.NoError(t, load(t, m, s, r))
	c, _, failed := s.apply(context.Background(), collect(nil), r, len(r.items))
	require.Nil(t, failed)
	require.Equal(t, uint64(2), c.Late)
	require.Contains(t, c.LateLast, "seq 2")
	require.Contains(t, c.LateLast, frame.PublisherID{7}.String())
	require.Len(t, c.States, 1)
	require.Len(t, s.receipts, 1)
	require.NoError(t, m.At("one").Commit(context.Background(), c))
	s.committed(c, r, len(r.items))
	require.Equal(t, uint64(2), claim(t, m, &budget{}).late, "the total is kept")
}

func TestStateThatCannotBeReadIsAFailure(t *testing.T) {
	m := storetest.NewMemory()
	m.Put("a", []byte{9, 9, 'x'})
	s := claim(t, m, &budget{max: 1 << 20})
	r := roundOf(t, batchAt(1, one(1, "b")), batchAt(2, one(2, "a")))
	require.NoError(t, load(t, m, s, r))
	_, _, failed := s.apply(context.Background(), collect(nil), r, len(r.items))
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

func (e explosive) Decode([]byte) (any, error) { e.at("decode"); return new(int), nil }

func (e explosive) Encode([]byte, any) ([]byte, error) { e.at("encode"); return []byte("x"), nil }

func (e explosive) Apply(context.Context, any, Event) error { e.at("apply"); return nil }

func TestPanicsAreFailures(t *testing.T) {
	for _, where := range []string{"decode", "encode", "apply"} {
		m := storetest.NewMemory()
		s := claim(t, m, &budget{max: 1 << 20})
		r := roundOf(t, batchAt(1, one(1, "a")))
		require.NoError(t, load(t, m, s, r))
		_, _, failed := s.apply(context.Background(), explosive{where}, r, len(r.items))
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
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	r := roundOf(t, batchAt(1, one(1, "a")), batchAt(2, one(2, "b")), batchAt(3, one(3, "a")), batchAt(4, one(4, "a")), batchAt(5, one(5, "b")))
	require.NoError(t, load(t, m, s, r))
	h := unwritable{collect(nil), frame.PublisherID{1}.String() + "-3"}
	limit := len(r.items)
	for _, want := range []int{3, 2} {
		_, _, failed := s.apply(context.Background(), h, r, limit)
		require.ErrorIs(t, failed.err, errRefused)
		require.Equal(t, want, failed.item)
		limit = failed.item
		require.NoError(t, load(t, m, s, r))
	}
	c, _, failed := s.apply(context.Background(), h, r, limit)
	require.Nil(t, failed)
	require.NoError(t, m.At("one").Commit(context.Background(), c))
	s.committed(c, r, limit)
	require.NoError(t, load(t, m, s, r))
	_, _, failed = s.apply(context.Background(), h, r, len(r.items))
	require.Equal(t, 3, failed.item)
	require.NoError(t, load(t, m, s, r))
	_, _, failed = s.apply(context.Background(), h, r, 3)
	require.Equal(t, r.next, failed.item, "it is what the shard waits for")
}
