package consume

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/aside"
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

// In a round of many keys one fails: it is set aside with the later ones of its key. The others' handlers run once, and all is
// committed.
func TestNeighboursOfAFailureRunOnce(t *testing.T) {
	r := newRig(t, 1)
	a := failing(id(106)) // of key k5
	r.send(0, manyKeys(200)...)
	w := r.start(handler(a.handler()))
	r.applied()
	require.Len(t, r.state("k4"), 10)
	require.Len(t, r.state("k5"), 5)
	require.Len(t, r.state("k6"), 10)
	_, heads, err := r.store().States(background, 0, []string{"k5", "k6"})
	require.NoError(t, err)
	require.Nil(t, heads[1])
	head, err := aside.DecodeHead(heads[0])
	require.NoError(t, err)
	require.EqualValues(t, 5, head.Len())
	require.Zero(t, a.seen(id(126)), "it joins the event that failed")
	repeated := 0
	for i := range 200 {
		n := a.seen(id(i + 1))
		if i%20 != 5 {
			require.Equal(t, 1, n, "attempts at event %d of key k%d", i+1, i%20)
		} else if i+1 < 106 {
			repeated += n - 1
		}
	}
	require.LessOrEqual(t, repeated, 5, "only events of its key, before the failure was seen, and once")
	require.Zero(t, w.metric("events_duplicate_total"))
	require.Equal(t, 195.0, w.metric("events_applied_total"))
}

// Handlers that wait run side by side, in the order of each key, and no more of them at a time than is allowed.
func TestSlowHandlersRunSideBySide(t *testing.T) {
	const keys, each, concurrency = 40, 3, 8
	r := newRig(t, 1)
	var mu sync.Mutex
	running, most := make(map[string]bool), 0
	begun, end := make(chan struct{}), make(chan struct{})
	w := r.worker(func(c *Config) {
		c.Concurrency, c.RoundTime, c.SlowTime = concurrency, time.Minute, time.Minute
		c.Handler = collect(func(ev Event) error {
			mu.Lock()
			require.False(t, running[ev.Key], "one key beside itself")
			running[ev.Key] = true
			most = max(most, len(running))
			mu.Unlock()
			begun <- struct{}{}
			<-end
			mu.Lock()
			delete(running, ev.Key)
			mu.Unlock()
			return nil
		})
	})
	var names []string
	for i := range keys * each {
		names = append(names, fmt.Sprint("k", i%keys))
	}
	r.send(0, names...)
	require.NoError(t, w.Start(background))
	for range keys * each / concurrency {
		for range concurrency {
			<-begun
		}
		for range concurrency {
			end <- struct{}{}
		}
	}
	r.applied()
	require.Equal(t, concurrency, most)
	for i := range keys {
		want := []string{id(i + 1), id(i + 1 + keys), id(i + 1 + 2*keys)}
		require.Equal(t, want, r.state(fmt.Sprint("k", i)))
	}
}

// A handler that does not return holds up its shard for SlowTime, and its key for longer.
func TestHangingHandlerHoldsUpItsKeyAlone(t *testing.T) {
	r := newRig(t, 1)
	hanging, finish := make(chan struct{}), make(chan struct{})
	w := r.worker(func(c *Config) {
		c.SlowTime = 50 * time.Millisecond
		c.Handler = collect(func(ev Event) error {
			if ev.Key == "bad" {
				close(hanging)
				<-finish
			}
			return nil
		})
	})
	t.Cleanup(sync.OnceFunc(func() { close(finish) })) // before the worker is stopped
	r.send(0, "a", "bad", "b", "bad", "a")
	require.NoError(t, w.Start(background))
	<-hanging
	r.applied()
	require.Len(t, r.state("a"), 2)
	require.Len(t, r.state("b"), 1)
	require.Empty(t, r.state("bad"))
	_, heads, err := r.store().States(background, 0, []string{"bad"})
	require.NoError(t, err)
	head, err := aside.DecodeHead(heads[0])
	require.NoError(t, err)
	require.Equal(t, aside.Running, head.Status)
	require.EqualValues(t, 2, head.Len())
	r.send(0, "c", "bad")
	r.applied()
	require.Len(t, r.state("c"), 1)
}
