package consume

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

// attempts counts a handler's attempts by event, and fails those that are bad until they are mended.
type attempts struct {
	mu  sync.Mutex
	of  map[string]int
	bad map[string]bool
}

func (a *attempts) handler() Handler {
	return collect(func(ev Event) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.of[ev.ID()]++
		if a.bad[ev.ID()] {
			return errRefused
		}
		return nil
	})
}

func (a *attempts) mend() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.bad)
}

func (a *attempts) seen(id string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of[id]
}

func failing(ids ...string) *attempts {
	a := &attempts{of: make(map[string]int), bad: make(map[string]bool)}
	for _, id := range ids {
		a.bad[id] = true
	}
	return a
}

// manyKeys are the keys of a batch of n events: 20 keys in turn.
func manyKeys(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprint("k", i%20))
	}
	return keys
}

// In a round of many keys one fails. The others' handlers run once, each key keeps its order, and with the retry all is
// committed.
func TestNeighboursOfAFailureRunOnce(t *testing.T) {
	r := newRig(t, 1)
	a := failing(id(106)) // of key k5
	r.send(0, manyKeys(200)...)
	w := r.start(handler(a.handler()))
	eventually(t, func() bool { return a.seen(id(106)) >= 4 }, "not tried again")
	require.Len(t, r.state("k4"), 6, "what lies before it is committed")
	require.Len(t, r.state("k5"), 5)
	require.Len(t, r.state("k6"), 5, "what lies behind it is not")
	require.Equal(t, 1, a.seen(id(200)), "it is applied already, and waits")
	require.Zero(t, a.seen(id(126)), "its own key waits for it")
	require.Zero(t, r.position(0), "the message is applied in part")
	a.mend()
	r.applied()
	repeated := 0
	for i := range 200 {
		n := a.seen(id(i + 1))
		if i%20 != 5 {
			require.Equal(t, 1, n, "attempts at event %d of key k%d", i+1, i%20)
		} else if i+1 != 106 {
			repeated += n - 1
		}
	}
	require.LessOrEqual(t, repeated, 5, "only events of its key, before the first failure was seen, and once")
	require.Zero(t, w.metric("events_duplicate_total"))
	require.Equal(t, 200.0, w.metric("events_applied_total"))
}

// The shard is another's before the event that fails is through: nothing of what waited behind it is committed.
func TestOutcomesAfterAFailureAreTheirOwnersAlone(t *testing.T) {
	for name, take := range map[string]func(*rig){
		"another claims the shard": func(r *rig) {
			_, err := r.store().Claim(background, 0, 0, store.NewVersion())
			require.NoError(r.t, err)
		},
		"the store loses everything": (*rig).flush,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			a := failing(id(3))
			w := r.worker(handler(a.handler()))
			r.send(0, "a", "b", "bad", "a", "b")
			require.NoError(t, w.Start(background))
			eventually(t, func() bool { return a.seen(id(5)) == 1 && a.seen(id(3)) > 1 }, "not applied behind")
			before := w.shard(0).Fence
			take(r)
			eventually(t, func() bool { return w.shard(0).Fence > before }, "not noticed while it waits")
			eventually(t, func() bool { return a.seen(id(5)) == 2 }, "applied anew by the next owner")
			require.Equal(t, []string{id(1)}, r.state("a"))
			require.Equal(t, []string{id(2)}, r.state("b"))
			a.mend()
			r.applied()
		})
	}
}

// A shard that waits for an event is handed over, and its next owner begins where the commits end.
func TestShardIsHandedOverWhileAnEventFails(t *testing.T) {
	r := newRig(t, 1)
	a := failing(id(2))
	w := r.worker(handler(a.handler()))
	r.send(0, "a", "bad", "a", "b")
	require.NoError(t, w.Start(background))
	eventually(t, func() bool { return a.seen(id(4)) == 1 && a.seen(id(2)) > 2 }, "not applied behind")
	began := time.Now()
	require.NoError(t, w.Stop(background))
	require.Less(t, time.Since(began), 2*time.Second)
	require.Equal(t, []string{id(1)}, r.state("a"))
	require.Empty(t, r.state("b"))
	a.mend()
	r.start(handler(a.handler()))
	r.applied()
	require.Equal(t, 1, a.seen(id(1)))
}

// A commit of a part of a round may have happened though its answer was lost: it is repeated as it was.
func TestAnswerOfAPartsCommitIsLost(t *testing.T) {
	r := newRig(t, 1)
	a := failing(id(3))
	var left atomic.Int64
	left.Store(2)
	w := r.worker(handler(a.handler()), func(c *Config) {
		open := c.Store
		c.Store = func(id string) store.Store { return unsure{open(id), &left} }
	})
	r.send(0, "a", "b", "bad", "a", "bad", "b")
	require.NoError(t, w.Start(background))
	eventually(t, func() bool { return a.seen(id(6)) == 1 && a.seen(id(3)) > 2 }, "not applied behind")
	require.Negative(t, left.Load(), "the commit of what lies before was repeated")
	left.Store(2)
	a.mend()
	r.applied()
	eventually(t, func() bool { return w.metric("events_applied_total") == 6 }, "metric")
	require.Negative(t, left.Load())
	require.Zero(t, w.metric("stale_total"))
	for _, i := range []int{1, 2, 4, 5, 6} {
		require.Equal(t, 1, a.seen(id(i)), "event %d", i)
	}
}

// The connection is lost while an event fails. Messages may have been missed: nothing of the round is committed when the event
// is through, and the round is taken from the log again.
func TestConnectionIsLostWhileAnEventFails(t *testing.T) {
	r := newRig(t, 1)
	a := failing(id(2))
	w := r.start(handler(a.handler()))
	r.send(0, "a", "bad", "a", "b")
	eventually(t, func() bool { return a.seen(id(4)) == 1 && a.seen(id(2)) > 1 }, "not applied behind")
	r.nats.Stop()
	eventually(t, func() bool { return !w.nc.IsConnected() && !r.nats.Conn.IsConnected() }, "still connected")
	r.nats.Start(t)
	eventually(t, func() bool { return w.nc.IsConnected() && r.nats.Conn.IsConnected() }, "not connected")
	eventually(t, func() bool { return a.seen(id(4)) == 2 }, "the log was not opened again while the event fails")
	require.Contains(t, w.log.String(), "opening the log again")
	before := a.seen(id(2))
	a.mend()
	r.applied()
	require.LessOrEqual(t, a.seen(id(2)), before+2, "one attempt may have been under way; the one that succeeds is not thrown away")
	require.Equal(t, 2, a.seen(id(4)), "of the round that was dropped, and of the one that was committed")
	require.Equal(t, 1, a.seen(id(1)))
	r.send(0, "bad", "b")
	r.applied()
}
