package consume

import (
	"context"
	"fmt"
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
	states, err := m.At("one").States(context.Background(), testShard, []string{key})
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
	return envelope
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
	return s.fill(states)
}

// commits runs a round until it is done, or until the item at r.next has failed and nothing is to be done but to wait for it.
// It returns how many items each commit covered.
func commits(t require.TestingT, m *storetest.Memory, s *shard, h Handler, r *round) (covered []int) {
	for !r.done() {
		require.NoError(t, load(t, m, s, r))
		s.run(context.Background(), h, r)
		c, end := s.commit(h, r)
		if c == nil {
			if r.items[r.next].outcome == failed {
				break
			}
			continue
		}
		require.NoError(t, m.At("one").Commit(context.Background(), c))
		covered = append(covered, end-r.next)
		s.committed(c, r, end)
	}
	return covered
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

// An event that fails gives its key's state back as it was before. What comes before it is committed; what comes behind it is
// applied, but for its key's, and waits.
func TestFailureIsItsKeysAlone(t *testing.T) {
	m := storetest.NewMemory()
	b := budget{max: 1 << 20}
	s := claim(t, m, &b)
	broken := true
	h := counted(collect(func(ev Event) error {
		if ev.seq == 3 && broken {
			return errRefused
		}
		return nil
	}))
	second := sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{
		{seq: 2, key: "b"}, {seq: 3, key: "a"}, {seq: 4, key: "b"}, {seq: 5, key: "a"},
	}}
	r := roundOf(t, batchAt(5, one(1, "c")), batchAt(6, second, one(2, "b")), batchAt(9, one(6, "b")))
	require.Equal(t, []int{2}, commits(t, m, s, h, r))
	require.Equal(t, uint64(5), s.position.Seq, "message 6 is applied in part: the position stays before it")
	require.Equal(t, uint64(5), s.roundStart)
	require.Equal(t, ids{id(2)}, stored(t, m, "b"))
	require.Empty(t, stored(t, m, "a"))
	require.Equal(t, map[string]int{id(1): 1, id(2): 1, id(3): 1, id(4): 1, id(6): 1}, h.of, "event 5 waits for event 3")
	require.Len(t, s.cache.dirty, 1, "b as it is behind the event that failed")

	for range 3 {
		r.items[r.next].outcome = pending
		require.Empty(t, commits(t, m, s, h, r))
	}
	require.Equal(t, map[string]int{id(1): 1, id(2): 1, id(3): 4, id(4): 1, id(6): 1}, h.of)

	// Killed here, the next owner finds nothing of what waited.
	s2 := claim(t, m, &b)
	again := roundOf(t, batchAt(6, second, one(2, "b")), batchAt(9, one(6, "b")))
	broken = false
	require.Equal(t, []int{6}, commits(t, m, s2, h, again), "event 2 is in the record, and nothing behind it")
	require.Equal(t, ids{id(3), id(5)}, stored(t, m, "a"))
	require.Equal(t, ids{id(2), id(4), id(6)}, stored(t, m, "b"))
	require.Equal(t, uint64(9), s2.position.Seq)
	require.Equal(t, uint64(6), s2.roundStart)

	// And the owner from before commits nothing more.
	r.items[r.next].outcome = pending
	require.Equal(t, []string{"a"}, s.missing(r))
	_, err := m.At("one").Load(context.Background(), s.n, s.version, []string{"a"})
	require.ErrorIs(t, err, store.ErrStale)
}

// A key's second event fails: the first is committed, and is applied once more at most.
func TestSecondEventOfAKeyFails(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	left := 3
	h := counted(collect(func(ev Event) error {
		if ev.seq == 3 && left > 0 {
			left--
			return errRefused
		}
		return nil
	}))
	r := roundOf(t, batchAt(1, one(1, "a"), one(2, "b")), batchAt(2, one(3, "a"), one(4, "b")), batchAt(3, one(5, "a"), one(6, "c")))
	require.Equal(t, []int{2}, commits(t, m, s, h, r))
	require.Equal(t, ids{id(1)}, stored(t, m, "a"))
	for left > 0 {
		r.items[r.next].outcome = pending
		require.Empty(t, commits(t, m, s, h, r))
	}
	r.items[r.next].outcome = pending
	require.Equal(t, []int{4}, commits(t, m, s, h, r))
	require.Equal(t, ids{id(1), id(3), id(5)}, stored(t, m, "a"))
	require.Equal(t, ids{id(2), id(4)}, stored(t, m, "b"))
	require.Equal(t, map[string]int{id(1): 2, id(2): 1, id(3): 4, id(4): 1, id(5): 1, id(6): 1}, h.of)
}

// Once a handler has failed, states are kept behind each event: an event that fails repeats nothing of its key then, and a
// commit holds the states as they were at its end, though they have gone on.
func TestSeveralKeysFail(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	bad := map[uint64]bool{1: true, 4: true, 6: true}
	h := counted(collect(func(ev Event) error {
		if bad[ev.seq] {
			return errRefused
		}
		return nil
	}))
	r := roundOf(t, batchAt(1, one(1, "a")), batchAt(2, one(2, "c")), batchAt(3, one(3, "b")), batchAt(4, one(4, "b")),
		batchAt(5, one(5, "c")), batchAt(6, one(6, "d")), batchAt(7, one(7, "c")))
	require.Empty(t, commits(t, m, s, h, r))
	delete(bad, 1)
	r.items[r.next].outcome = pending
	require.Equal(t, []int{3}, commits(t, m, s, h, r))
	require.Equal(t, ids{id(2)}, stored(t, m, "c"), "as it was at the end of the commit")
	require.Equal(t, ids{id(3)}, stored(t, m, "b"))
	require.Equal(t, uint64(3), s.position.Seq)
	clear(bad)
	r.retry()
	require.Equal(t, []int{4}, commits(t, m, s, h, r))
	require.Equal(t, ids{id(2), id(5), id(7)}, stored(t, m, "c"))
	require.Equal(t, ids{id(3), id(4)}, stored(t, m, "b"))
	require.Equal(t, map[string]int{id(1): 2, id(2): 1, id(3): 1, id(4): 2, id(5): 1, id(6): 2, id(7): 1}, h.of)
}

// A handler that fails everything is not run for each key there is.
func TestFewKeysFailAtOnce(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	h := counted(collect(func(Event) error { return errRefused }))
	var parts []sent
	for i := range 10 * maxWaiting {
		parts = append(parts, one(uint64(i+1), fmt.Sprint(i)))
	}
	r := roundOf(t, batchAt(1, parts...))
	for range 3 {
		require.Empty(t, commits(t, m, s, h, r))
		r.items[r.next].outcome = pending
	}
	require.LessOrEqual(t, len(h.of), maxWaiting+1)
	require.Equal(t, 3, h.of[id(1)])
	require.Equal(t, 1, h.of[id(2)])
}

// Nothing more is begun behind an event that fails once what waits has taken the handler's time of one commit.
func TestTimeAfterAFailureIsBounded(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	s.stint.limit, s.stint.hang = time.Hour, time.Hour
	h := counted(collect(func(ev Event) error {
		if ev.seq == 1 {
			return errRefused
		}
		if ev.seq == 3 {
			s.stint.used = s.stint.limit
			s.stint.spent.Store(true)
		}
		return nil
	}))
	r := roundOf(t, batchAt(1, one(1, "a"), one(2, "b"), one(3, "c"), one(4, "d")))
	for range 3 {
		require.Empty(t, commits(t, m, s, h, r))
		r.items[r.next].outcome = pending
	}
	require.Equal(t, map[string]int{id(1): 3, id(2): 1, id(3): 1}, h.of)
}

// What waits behind an event that fails is bounded in bytes.
func TestResultsAreBounded(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	h := counted(large{collect(func(ev Event) error {
		if ev.seq == 1 {
			return errRefused
		}
		return nil
	})})
	var parts []sent
	for i := range 100 {
		parts = append(parts, one(uint64(i+1), fmt.Sprint(i)))
	}
	r := roundOf(t, batchAt(1, parts...))
	require.Empty(t, commits(t, m, s, h, r))
	require.Greater(t, r.resultBytes, maxResults)
	require.Less(t, r.resultBytes, maxResults+2*largeState)
	require.Less(t, len(h.of), 20)
}

// An event has failed for longer than a commit's time. Once it succeeds, the rest of its round is committed as fast as any other.
func TestRoundAfterALongFailureIsCommittedAtOnce(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	s.stint.limit, s.stint.hang = time.Hour, time.Hour
	fails := true
	h := inPlace{func(Event) bool { return fails }}
	var parts []sent
	for i := range 500 {
		parts = append(parts, one(uint64(i+1), "hot"))
	}
	r := roundOf(t, batchAt(1, parts...))
	require.Empty(t, commits(t, m, s, h, r))
	s.stint.used = s.stint.limit // by the attempts that failed
	fails = false
	r.items[r.next].outcome = pending
	covered := commits(t, m, s, h, r)
	require.True(t, r.done())
	require.Equal(t, []int{1, 499}, covered)
}

// inPlace is a handler whose states are the envelopes that they were decoded from.
type inPlace struct{ fail func(Event) bool }

func (inPlace) Decode(envelope []byte) (any, error) {
	if envelope == nil {
		envelope = make([]byte, 1)
	}
	return envelope, nil
}

func (inPlace) Encode(b []byte, state any) ([]byte, error) { return append(b, state.([]byte)...), nil }

func (h inPlace) Apply(_ context.Context, state any, ev Event) error {
	state.([]byte)[0]++
	if h.fail(ev) {
		return errRefused
	}
	return nil
}

// A state that shares the memory of its envelope changes no state that is kept.
func TestKeptStatesAreNotShared(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	bad := map[uint64]bool{1: true, 4: true}
	h := inPlace{func(ev Event) bool { return bad[ev.seq] }}
	r := roundOf(t, batchAt(1, one(1, "a"), one(2, "b"), one(3, "c"), one(4, "b"), one(5, "c")))
	require.Empty(t, commits(t, m, s, h, r))
	require.NoError(t, load(t, m, s, r))
	bad[1] = false
	r.retry() // event 4 fails again, on a state that was decoded from what event 2 left
	require.Equal(t, []int{3}, commits(t, m, s, h, r))
	for _, key := range []string{"a", "b", "c"} {
		states, err := m.At("one").States(context.Background(), testShard, []string{key})
		require.NoError(t, err)
		require.Equal(t, []byte{1}, envelopeOf(t, states[0]), "key %s", key)
	}
	clear(bad)
	r.retry()
	require.Equal(t, []int{2}, commits(t, m, s, h, r))
	states, err := m.At("one").States(context.Background(), testShard, []string{"a", "b", "c"})
	require.NoError(t, err)
	for i, want := range [][]byte{{1}, {2}, {2}} {
		require.Equal(t, want, envelopeOf(t, states[i]))
	}
}

// large is a handler whose states are large.
type large struct{ Handler }

const largeState = 100 << 10

func (l large) Encode(b []byte, state any) ([]byte, error) {
	b, err := l.Handler.Encode(b, state)
	return append(b, make([]byte, largeState)...), err
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
	first := sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{{seq: 1, key: "a"}, {seq: 2, key: "b"}, {seq: 3, key: "a", receipt: true}}}
	r := roundOf(t, batchAt(5, first), batchAt(6, one(4, "b"), one(5, "a")))
	for _, want := range []struct{ end, position int }{{2, 0}, {4, 5}, {5, 6}} {
		require.NoError(t, load(t, m, s, r))
		require.Empty(t, s.run(context.Background(), h, r))
		c, end := s.commit(h, r)
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
	require.Empty(t, s.run(context.Background(), collect(nil), r))
	c, end := s.commit(collect(nil), r)
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
	failures := s.run(context.Background(), collect(nil), r)
	require.Len(t, failures, 1)
	require.Equal(t, 1, failures[0].item)
	require.ErrorContains(t, failures[0].err, "codec 9")
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
		failures := s.run(context.Background(), explosive{where}, r)
		if where == "encode" { // it is only encoded when it is to be committed; then the event is tried by itself
			require.Empty(t, failures)
			c, _ := s.commit(explosive{where}, r)
			require.Nil(t, c)
			require.NoError(t, load(t, m, s, r))
			failures = s.run(context.Background(), explosive{where}, r)
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

// A state that cannot be encoded is laid to the event that made it so: those before it are committed without a wait.
func TestStateThatCannotBeWritten(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	r := roundOf(t, batchAt(1, one(1, "a")), batchAt(2, one(2, "b")), batchAt(3, one(3, "a")), batchAt(4, one(4, "a")), batchAt(5, one(5, "b")))
	h := counted(unwritable{collect(nil), id(3)})
	require.Equal(t, []int{2}, commits(t, m, s, h, r))
	require.Equal(t, failed, r.items[2].outcome)
	require.Equal(t, ids{id(1)}, stored(t, m, "a"))
	require.Equal(t, ids{id(2)}, stored(t, m, "b"))
	runs := h.of[id(3)]
	r.items[r.next].outcome = pending
	require.Empty(t, commits(t, m, s, h, r), "it is what the shard waits for")
	require.Equal(t, runs+1, h.of[id(3)])
	require.LessOrEqual(t, h.of[id(2)], 2)
}
