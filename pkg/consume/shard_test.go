package consume

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/lockstep/pkg/aside"
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
	mainVictim()
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
	states, _, err := m.At("one").States(context.Background(), testShard, []string{key})
	require.NoError(t, err)
	return idsOf(t, states[0])
}

// idsOf reads a stored state, and holds its proof against it.
func idsOf(t require.TestingT, stored []byte) ids {
	envelope := envelopeOf(t, stored)
	state, err := collect(nil).Decode(envelope)
	require.NoError(t, err)
	if stored != nil {
		proof, _, _ := store.SplitState(stored)
		require.Len(t, *state.(*ids), int(proof.Count))
	}
	return *state.(*ids)
}

// envelopeOf is what the handler has encoded of a stored state; nil if there is none.
func envelopeOf(t require.TestingT, stored []byte) []byte {
	if stored == nil {
		return nil
	}
	_, envelope, err := store.SplitState(stored)
	require.NoError(t, err)
	if len(envelope) == 0 { // all of the key's events were given up or dropped
		return nil
	}
	return envelope
}

func claim(t require.TestingT, m *storetest.Memory, b *budget) *shard {
	rec, err := m.At("one").Claim(context.Background(), testShard, 1, store.NewVersion())
	require.NoError(t, err)
	s := claimed(testShard, rec, b)
	require.NoError(t, m.At("one").Publishers(context.Background(), testShard, s.version, s.restore))
	require.NoError(t, m.At("one").Heads(context.Background(), testShard, s.version, s.restoreList))
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

// runPass makes the attempts of a pass one by one, as the runner does.
func runPass(s *shard, h Handler, r *round) []failure {
	s.beginPass(r)
	var a attempt
	for s.begin(r, &a) {
		res := a.run(background, h)
		s.ended(r, &a, &res)
	}
	return s.pass.failures
}

// commits runs a round until it is done. It returns how many items each commit covered.
func commits(t require.TestingT, m *storetest.Memory, s *shard, h Handler, r *round) (covered []int) {
	for passes := 0; !r.done(); passes++ {
		require.Less(t, passes, 100)
		require.NoError(t, load(t, m, s, r))
		runPass(s, h, r)
		c, end := s.commit(h, r, epochStart)
		if c == nil {
			continue
		}
		require.NoError(t, m.At("one").Commit(context.Background(), c))
		covered = append(covered, end-r.next)
		s.committed(c, r, end)
		s.spent.Store(false)
	}
	return covered
}

// waiting are the ids of a key's events that are set aside, and the list's head, nil if there is none.
func waiting(t require.TestingT, m *storetest.Memory, key string) (out ids, head *aside.Head) {
	_, heads, err := m.At("one").States(background, testShard, []string{key})
	require.NoError(t, err)
	if heads[0] == nil {
		return nil, nil
	}
	h, err := aside.DecodeHead(heads[0])
	require.NoError(t, err)
	for at := h.First; at < h.Next; {
		events, err := m.At("one").Aside(background, testShard, "", key, at, 100)
		require.NoError(t, err)
		require.NotEmpty(t, events)
		for _, b := range events {
			e, err := aside.DecodeEvent(b)
			require.NoError(t, err)
			out = append(out, e.ID)
		}
		at += uint64(len(events))
	}
	return out, &h
}

// runs counts a handler's attempts, by event.
type runs struct {
	Handler
	of map[string]int
}

func counted(h Handler) runs { return runs{h, make(map[string]int)} }

func (c runs) Apply(ctx context.Context, state any, ev Event) error {
	c.of[ev.ID()]++
	return c.Handler.Apply(ctx, state, ev)
}

// id is that of an event of publisher 1.
func id(seq int) string { return fmt.Sprintf("%s-%d", frame.PublisherID{1}, seq) }

// A handler that has taken its time ends the segment with the event at hand. Nothing is applied twice, and nothing left out.
func TestSlowHandlerEndsTheSegment(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	h := collect(func(ev Event) error {
		if ev.seq%2 == 0 {
			s.spent.Store(true)
		}
		return nil
	})
	first := sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{{seq: 1, key: "a"}, {seq: 2, key: "b"}, {seq: 3, key: "a", receipt: true}}}
	r := roundOf(t, batchAt(5, first), batchAt(6, one(4, "b"), one(5, "a")))
	for _, want := range []struct{ end, position int }{{2, 0}, {4, 5}, {5, 6}} {
		require.NoError(t, load(t, m, s, r))
		s.spent.Store(false)
		require.Empty(t, runPass(s, h, r))
		c, end := s.commit(h, r, epochStart)
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
	old := sent{publisher: 7, generation: 1, floor: 1, birth: epochStart.Add(-8 * 24 * time.Hour)}
	old.events = []sentEvent{{seq: 1, key: "a", receipt: true}, {seq: 2, key: "b"}}
	r := roundOf(t, batchAt(1, old, one(1, "a")))
	require.NoError(t, load(t, m, s, r))
	require.Empty(t, runPass(s, collect(nil), r))
	c, end := s.commit(collect(nil), r, epochStart)
	require.Equal(t, len(r.items), end)
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
	s := claim(t, m, &budget{max: 1 << 20})
	m.Put(testShard, "a", append(store.Proof{Count: 1}.Append(nil), 9, 9, 'x'))
	r := roundOf(t, batchAt(1, one(1, "b")), batchAt(2, one(2, "a")))
	require.NoError(t, load(t, m, s, r))
	failures := runPass(s, collect(nil), r)
	require.Len(t, failures, 1)
	require.Equal(t, 1, failures[0].item)
	require.ErrorContains(t, failures[0].err, "codec 9")
	require.ErrorIs(t, failures[0].err, errParked, "no attempt can succeed")
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
		failures := runPass(s, explosive{where}, r)
		if where == "encode" { // it is only encoded when it is to be committed; then the event is tried by itself
			require.Empty(t, failures)
			c, _ := s.commit(explosive{where}, r, epochStart)
			require.Nil(t, c)
			require.NoError(t, load(t, m, s, r))
			failures = runPass(s, explosive{where}, r)
		}
		require.Len(t, failures, 1)
		require.ErrorContains(t, failures[0].err, "boom in "+where)
		require.ErrorContains(t, failures[0].err, "shard_test.go", "with its stack")
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

// A state that cannot be encoded is laid to the event that made it so: those before it are committed.
func TestStateThatCannotBeWritten(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	r := roundOf(t, batchAt(1, one(1, "a")), batchAt(2, one(2, "b")), batchAt(3, one(3, "a")), batchAt(4, one(4, "a")), batchAt(5, one(5, "b")))
	h := counted(unwritable{collect(nil), id(3)})
	require.Equal(t, []int{5}, commits(t, m, s, h, r))
	require.Equal(t, ids{id(1)}, stored(t, m, "a"))
	require.Equal(t, ids{id(2), id(5)}, stored(t, m, "b"))
	events, _ := waiting(t, m, "a")
	require.Equal(t, ids{id(3), id(4)}, events)
	require.LessOrEqual(t, h.of[id(2)], 2)
}
