package consume

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

// What a slow handler has applied is committed while the round goes on.
func TestSlowRoundIsCommittedOnItsWay(t *testing.T) {
	r := newRig(t, 1)
	third, finish := make(chan struct{}), make(chan struct{})
	w := r.worker(func(c *Config) {
		c.RoundTime = time.Millisecond
		c.Handler = collect(func(ev Event) error {
			switch ev.Key {
			case "a", "b":
				time.Sleep(4 * glanceTime) // this handler takes its time: longer than the round's
			case "c":
				close(third)
				<-finish
			}
			return nil
		})
	})
	r.send(0, "a", "b", "c", "d")
	require.NoError(t, w.Start(background))
	<-third
	require.Len(t, r.state("a"), 1, "a crash now would not repeat it")
	require.Zero(t, r.position(0), "the message is applied in part")
	close(finish)
	r.applied()
	require.Zero(t, w.metric("events_duplicate_total"))
}

// A round of a slow handler may be long: a shard that is to be handed over goes in the middle of it.
func TestSlowRoundIsHandedOver(t *testing.T) {
	const events = 2000 // take longer than the owner takes to see that the round's time is over
	r := newRig(t, 1)
	begun, finish := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w := r.worker(func(c *Config) {
		c.RoundTime = time.Nanosecond
		c.Handler = collect(func(Event) error {
			once.Do(func() { close(begun); <-finish })
			return r.nats.Conn.Flush()
		})
	})
	var keys []string
	for i := range events {
		keys = append(keys, fmt.Sprint("k", i))
	}
	r.send(0, keys...)
	require.NoError(t, w.Start(background))
	<-begun
	stopped := make(chan error)
	go func() { stopped <- w.Stop(background) }()
	eventually(t, func() bool { return !w.group.Joined() }, "not leaving")
	eventually(t, func() bool { wanted := w.group.Unsettled(); return len(wanted) == 1 }, "not to be handed over")
	close(finish)
	require.NoError(t, <-stopped)
	require.Len(t, r.state(keys[0]), 1)
	require.Empty(t, r.state(keys[events-1]), "left to the next owner")
	next := r.start()
	r.applied()
	eventually(t, func() bool { return next.Ready() == nil }, "ready")
}

// What a round costs beside the handler, made by the runner.
func BenchmarkApply(b *testing.B) {
	const events = 1000
	s := claimed(testShard, store.Record{}, &budget{max: 1 << 20})
	p := sent{publisher: 1, generation: 1, floor: 1}
	for i := range events {
		p.events = append(p.events, sentEvent{seq: uint64(i + 1), key: strconv.Itoa(i % 100)})
	}
	r := testRound()
	require.NoError(b, r.add(batchAt(1, p)))
	var h Handler = after{collect(nil), func() {}}
	s.fill(make([][]byte, len(s.missing(r))))
	ru := newRunner(background)
	go ru.run(s, &calls{handler: h})
	defer close(ru.begin)
	for b.Loop() {
		s.beginPass(r)
		ru.begin <- r
		<-ru.over
		c, end := s.commit(h, r, epochStart)
		if end != events || c == nil {
			b.Fatal("not applied")
		}
		s.record.Rollback()
		for _, e := range s.cache.dirty { // as they were
			e.state, e.changed = new(ids), false
		}
		s.cache.dirty = s.cache.dirty[:0]
		clear(s.receipts)
		r.seen, s.tally = 0, tally{}
		for i := range r.items {
			r.items[i].outcome = pending
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
}

// A place goes to the claimant with the fewest, in the order of their requests, and each leaves one for every other.
func TestPlacesAreShared(t *testing.T) {
	p := newPlaces(4)
	a, b := p.join(), p.join()
	for range 3 {
		require.True(t, a.take())
	}
	require.False(t, a.take(), "one is left for the other")
	require.True(t, b.take())
	require.False(t, b.take(), "none is left")
	a.put()
	<-b.granted
	require.Equal(t, 2, b.used, "it has fewer")
	a.put()
	<-a.granted
	require.Equal(t, 2, a.used)
	require.False(t, a.take())
	a.forgo()
	b.put()
	require.True(t, a.take(), "as nobody waits")
	b.leave()
	b.put()
	require.True(t, a.take())
	for range 4 {
		a.put()
	}
	require.Equal(t, p.max, p.free)
}
