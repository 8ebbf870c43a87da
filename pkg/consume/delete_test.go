package consume

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/store/storetest"
	"github.com/stretchr/testify/require"
)

// closing is a handler that collects ids, and deletes the state of a key at events whose payload says so.
func closing() Handler {
	return Typed(func(_ context.Context, state *[]string, ev Event) error {
		*state = append(*state, ev.ID())
		if strings.HasPrefix(string(ev.Data), "close") {
			return fmt.Errorf("account closed: %w", Delete)
		}
		return nil
	})
}

// A handler deletes a key's state: the store has none, and the next event finds a fresh one, whose count and chain begin anew.
func TestHandlerDeletesState(t *testing.T) {
	r := newRig(t, 1)
	w := r.start(func(c *Config) { c.Handler = closing() })
	send := func(data string) { r.put(0, []byte(data), plainHeader(0, "k")) }
	send("open")
	send("more")
	proof := func() (p store.Proof, found bool) {
		states, _, err := r.store().States(background, 0, []string{"k"})
		require.NoError(t, err)
		if states[0] == nil {
			return store.Proof{}, false
		}
		p, _, err = store.SplitState(states[0])
		require.NoError(t, err)
		return p, true
	}
	reaches := func(seq uint64, says string) {
		t.Helper()
		eventually(t, func() bool { return r.position(0) == seq }, says)
	}
	reaches(2, "two events")
	p, _ := proof()
	require.Equal(t, store.Proof{}.Apply([]byte("open")).Apply([]byte("more")), p)
	send("close")
	reaches(3, "deleted")
	_, found := proof()
	require.False(t, found)
	for n := range 16 {
		require.LessOrEqual(t, r.rdb.HLen(background, fmt.Sprintf("{app:0}:state:%d", n)).Val(), int64(1), "nothing but the marker")
	}
	send("again")
	reaches(4, "begun anew")
	p, _ = proof()
	require.Equal(t, store.Proof{}.Apply([]byte("again")), p)

	require.NoError(t, w.Stop(background)) // all of it once more, in rounds of another size, from the log
	require.NoError(t, r.rdb.FlushAll(background).Err())
	r.start(func(c *Config) { c.Handler = closing() })
	reaches(4, "replayed")
	replayed, _ := proof()
	require.Equal(t, p, replayed)
}

// A state is deleted, made again and failed at within one round: what is committed is what the events before it have made.
func TestDeletedStatesInARoundThatFails(t *testing.T) {
	const bad = 5
	failing := true
	h := Typed(func(_ context.Context, state *ids, ev Event) error {
		if failing && ev.seq == bad {
			return errors.New("not yet")
		}
		*state = append(*state, ev.ID())
		if ev.seq == 2 || ev.seq == 4 {
			return Delete
		}
		return nil
	})
	for _, careful := range []bool{false, true} {
		failing = true
		m := storetest.NewMemory()
		s := claim(t, m, &budget{max: 1 << 20})
		s.careful = careful
		r := roundOf(t, batchAt(1, one(1, "a"), one(2, "a"), one(3, "b"), one(4, "b"), one(bad, "x"), one(6, "a"), one(7, "b"), one(8, "b")))
		commits(t, m, s, h, r)
		require.Equal(t, []string{"a", "b"}, m.Keys(), "careful %v", careful)
		require.Len(t, stored(t, m, "a"), 1)
		require.Len(t, stored(t, m, "b"), 2)
	}
}
