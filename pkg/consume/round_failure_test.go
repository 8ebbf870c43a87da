package consume

import (
	"context"
	"fmt"
	"testing"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/store/storetest"
	"github.com/stretchr/testify/require"
)

// An event that fails is set aside with all later ones of its key, and the key's state is as it was before. The others go on.
func TestFailureIsItsKeysAlone(t *testing.T) {
	m := storetest.NewMemory()
	b := budget{max: 1 << 20}
	s := claim(t, m, &b)
	h := counted(collect(func(ev Event) error {
		if ev.seq == 3 {
			return errRefused
		}
		return nil
	}))
	second := sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{
		{seq: 2, key: "b"}, {seq: 3, key: "a", receipt: true}, {seq: 4, key: "b", receipt: true}, {seq: 5, key: "a"},
	}}
	r := roundOf(t, batchAt(5, one(1, "c")), batchAt(6, second, one(2, "b")), batchAt(9, one(6, "b")))
	require.Equal(t, []int{7}, commits(t, m, s, h, r))
	require.Equal(t, uint64(9), s.position.Seq)
	require.Equal(t, ids{id(2), id(4), id(6)}, stored(t, m, "b"))
	require.Empty(t, stored(t, m, "a"))
	require.Equal(t, map[string]int{id(1): 1, id(2): 1, id(3): 1, id(4): 1, id(6): 1}, h.of, "event 5 joins event 3")
	events, head := waiting(t, m, "a")
	require.Equal(t, ids{id(3), id(5)}, events)
	require.Equal(t, aside.Retrying, head.Status)
	require.EqualValues(t, 1, head.Attempts)
	require.Equal(t, errRefused.Error(), head.Error)
	owed, err := decodeOwed(s.owed)
	require.NoError(t, err)
	require.Len(t, owed, 1, "none is owed for what is set aside")
	for _, seqs := range owed {
		require.Contains(t, seqs, uint64(4))
		require.NotContains(t, seqs, uint64(3))
	}

	// The next owner finds the list, and later events join it.
	s2 := claim(t, m, &b)
	require.Equal(t, []int{2}, commits(t, m, s2, h, roundOf(t, batchAt(10, one(7, "a"), one(8, "b")))))
	events, head = waiting(t, m, "a")
	require.Equal(t, ids{id(3), id(5), id(7)}, events)
	require.EqualValues(t, 1, head.Attempts)
	require.Equal(t, ids{id(2), id(4), id(6), id(8)}, stored(t, m, "b"))

	// And the owner from before commits nothing more.
	_, err = m.At("one").Load(context.Background(), s.n, s.version, []string{"a"})
	require.ErrorIs(t, err, store.ErrStale)
}

// A key's second event fails: the first is applied, once more at most, and committed.
func TestSecondEventOfAKeyFails(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	h := counted(collect(func(ev Event) error {
		if ev.seq == 3 {
			return errRefused
		}
		return nil
	}))
	r := roundOf(t, batchAt(1, one(1, "a"), one(2, "b")), batchAt(2, one(3, "a"), one(4, "b")), batchAt(3, one(5, "a"), one(6, "c")))
	require.Equal(t, []int{6}, commits(t, m, s, h, r))
	require.Equal(t, ids{id(1)}, stored(t, m, "a"))
	require.Equal(t, ids{id(2), id(4)}, stored(t, m, "b"))
	events, _ := waiting(t, m, "a")
	require.Equal(t, ids{id(3), id(5)}, events)
	require.Equal(t, map[string]int{id(1): 2, id(2): 1, id(3): 1, id(4): 1, id(6): 1}, h.of, "the event that failed is not tried again")
}

// Once a handler has failed, states are kept behind each event: an event that fails repeats nothing of its key then.
func TestSeveralKeysFail(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	h := counted(collect(func(ev Event) error {
		if ev.seq == 1 || ev.seq == 4 || ev.seq == 6 {
			return errRefused
		}
		return nil
	}))
	r := roundOf(t, batchAt(1, one(1, "a")), batchAt(2, one(2, "c")), batchAt(3, one(3, "b")), batchAt(4, one(4, "b")),
		batchAt(5, one(5, "c")), batchAt(6, one(6, "d")), batchAt(7, one(7, "c")))
	require.Equal(t, []int{7}, commits(t, m, s, h, r))
	require.Equal(t, ids{id(2), id(5), id(7)}, stored(t, m, "c"))
	require.Equal(t, ids{id(3)}, stored(t, m, "b"))
	for _, n := range h.of {
		require.Equal(t, 1, n)
	}
	for key, want := range map[string]ids{"a": {id(1)}, "b": {id(4)}, "d": {id(6)}} {
		events, _ := waiting(t, m, key)
		require.Equal(t, want, events)
	}
}

// A handler that gives an event up leaves the state as it was, and the proof counts it.
func TestDroppedEvents(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	h := collect(func(ev Event) error {
		if ev.seq%2 == 0 {
			return fmt.Errorf("refused: %w", Drop(errRefused))
		}
		return nil
	})
	r := roundOf(t, batchAt(1, one(1, "a"), one(2, "a"), one(3, "a"), one(4, "b"), one(5, "c"), one(6, "a")))
	commits(t, m, s, h, r)
	require.Empty(t, s.lists)
	for key, want := range map[string]store.Proof{"a": {Count: 2, Dropped: 2}, "b": {Dropped: 1}, "c": {Count: 1}} {
		states, _, err := m.At("one").States(background, testShard, []string{key})
		require.NoError(t, err)
		got, _, err := store.SplitState(states[0])
		require.NoError(t, err)
		got.Chain = 0
		require.Equal(t, want, got, "key %s", key)
	}
	require.Equal(t, ids{id(1), id(3)}, stored(t, m, "a"))
	commits(t, m, s, h, roundOf(t, batchAt(2, one(7, "b"))))
	require.Equal(t, ids{id(7)}, stored(t, m, "b"), "a key with a proof alone finds a fresh state")
}

// Park does not wait for the last attempt.
func TestParkedByTheHandler(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	h := collect(func(Event) error { return Park(errRefused) })
	commits(t, m, s, h, roundOf(t, batchAt(1, one(1, "a"), one(2, "a"))))
	events, head := waiting(t, m, "a")
	require.Equal(t, ids{id(1), id(2)}, events)
	require.Equal(t, aside.Parked, head.Status)
	require.Contains(t, head.Error, errRefused.Error())
}

// Keys run side by side, one key never does, and outcomes behind an attempt that still runs wait.
func TestKeysRunSideBySide(t *testing.T) {
	m := storetest.NewMemory()
	s := claim(t, m, &budget{max: 1 << 20})
	h := collect(nil)
	r := roundOf(t, batchAt(1, one(1, "a"), one(2, "b"), one(3, "a"), one(4, "c"), one(5, "b")))
	require.NoError(t, load(t, m, s, r))
	s.beginPass(r)
	var under []*attempt
	begin := func() {
		for a := new(attempt); s.begin(r, a); a = new(attempt) {
			under = append(under, a)
		}
	}
	end := func(key string) {
		for i, a := range under {
			if a.key == key {
				under = append(under[:i], under[i+1:]...)
				res := a.run(background, h)
				s.ended(r, a, &res)
				return
			}
		}
		require.Fail(t, "not under way: "+key)
	}
	begin()
	require.Len(t, under, 3, "an event waits for the one before of its key")
	end("c")
	end("b")
	begin()
	end("b")
	require.Zero(t, r.complete(), "a has not ended")
	s.overdue(r, under[0], new(call))
	begin()
	require.Empty(t, under[1:], "event 3 joins event 1")
	c, upto := s.commit(h, r, epochStart)
	require.Equal(t, 5, upto)
	require.NoError(t, m.At("one").Commit(background, c))
	s.committed(c, r, upto)
	require.Equal(t, ids{id(2), id(5)}, stored(t, m, "b"))
	events, head := waiting(t, m, "a")
	require.Equal(t, ids{id(1), id(3)}, events)
	require.Equal(t, aside.Running, head.Status)
	require.Zero(t, head.Attempts)
}

// Nothing more is begun behind an attempt that failed once what waits is large.
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
	require.NoError(t, load(t, m, s, r))
	runPass(s, h, r)
	require.Greater(t, r.resultBytes, maxResults)
	require.Less(t, r.resultBytes, maxResults+2*largeState)
	require.Less(t, len(h.of), 20)
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
	h := inPlace{func(ev Event) bool { return ev.seq == 1 || ev.seq == 4 }}
	r := roundOf(t, batchAt(1, one(1, "a"), one(2, "b"), one(3, "c"), one(4, "b"), one(5, "c")))
	commits(t, m, s, h, r)
	for key, want := range map[string][]byte{"a": nil, "b": {1}, "c": {2}} {
		states, _, err := m.At("one").States(context.Background(), testShard, []string{key})
		require.NoError(t, err)
		require.Equal(t, want, envelopeOf(t, states[0]), "key %s", key)
	}
}

// large is a handler whose states are large.
type large struct{ Handler }

const largeState = 100 << 10

func (l large) Encode(b []byte, state any) ([]byte, error) {
	b, err := l.Handler.Encode(b, state)
	return append(b, make([]byte, largeState)...), err
}
