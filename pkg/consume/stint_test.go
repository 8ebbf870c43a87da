package consume

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

func TestStint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string // guarded by s.mu
		s := stint{limit: 100 * time.Millisecond, hang: 5 * time.Second}
		s.hangs = func(key string) { told = append(told, key+" hangs") }
		s.returned = func(key string, took time.Duration) { told = append(told, key+" took "+took.String()) }
		first, second := "first", "second"
		said := func() []string {
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			return slices.Clone(told)
		}
		for range 3 {
			s.begin()
			s.key.Store(&first)
			time.Sleep(99 * time.Millisecond)
			synctest.Wait()
			require.False(t, s.spent.Load())
			time.Sleep(time.Millisecond)
			synctest.Wait()
			require.True(t, s.spent.Load())
			s.end()
			s.settle()
			time.Sleep(time.Hour)
			require.Empty(t, said(), "nothing is under way")
		}
		s.begin()
		time.Sleep(90 * time.Millisecond)
		s.key.Store(&second)
		time.Sleep(5009 * time.Millisecond)
		require.Empty(t, said())
		time.Sleep(time.Millisecond)
		require.Equal(t, []string{"second hangs"}, said())
		time.Sleep(time.Minute)
		require.Len(t, said(), 1, "once")
		s.end()
		require.Equal(t, []string{"second hangs", "second took 1m5.1s"}, said())
		s.settle()

		// What is not committed uses up the limit.
		for _, spent := range []bool{false, true} {
			s.begin()
			time.Sleep(60 * time.Millisecond)
			synctest.Wait()
			require.Equal(t, spent, s.spent.Load())
			s.end()
		}
		s.begin()
		require.True(t, s.spent.Load(), "from the beginning")
		s.key.Store(&first)
		time.Sleep(4999 * time.Millisecond)
		require.Len(t, said(), 2)
		time.Sleep(time.Millisecond)
		require.Equal(t, "first hangs", said()[2])
		s.end()
		s.settle()
		s.begin()
		require.False(t, s.spent.Load())
		s.end()
	})
}

// What a slow handler has applied is committed while the round goes on.
func TestSlowRoundIsCommittedOnItsWay(t *testing.T) {
	r := newRig(t, 1)
	third, finish := make(chan struct{}), make(chan struct{})
	w := r.worker(func(c *Config) {
		c.RoundTime = time.Nanosecond
		c.Handler = collect(func(ev Event) error {
			switch ev.Key {
			case "a", "b":
				time.Sleep(time.Millisecond) // longer than RoundTime, as the timer must have rung
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
	require.Len(t, r.state("b"), 1)
	require.Zero(t, r.position(0), "the message is applied in part")
	close(finish)
	r.applied()
	require.Zero(t, w.metric("events_duplicate_total"))
}

// A round of a slow handler may be long: a shard that is to be handed over goes in the middle of it.
func TestSlowRoundIsHandedOver(t *testing.T) {
	r := newRig(t, 1)
	begun, finish := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w := r.worker(func(c *Config) {
		c.RoundTime = time.Nanosecond
		c.Handler = collect(func(Event) error {
			once.Do(func() { close(begun); <-finish })
			time.Sleep(time.Millisecond)
			return nil
		})
	})
	r.send(0, "a", "b", "c", "d")
	require.NoError(t, w.Start(background))
	<-begun
	stopped := make(chan error)
	go func() { stopped <- w.Stop(background) }()
	eventually(t, func() bool { return !w.group.Joined() }, "not leaving")
	eventually(t, func() bool { wanted := w.group.Unsettled(); return len(wanted) == 1 }, "not to be handed over")
	close(finish)
	require.NoError(t, <-stopped)
	require.Len(t, r.state("a"), 1)
	require.Empty(t, r.state("d"), "left to the next owner")
	next := r.start()
	r.applied()
	eventually(t, func() bool { return next.Ready() == nil }, "ready")
}

// A handler that does not return is named by its key; the worker stays ready for its other shards.
func TestHangingHandlerIsSeen(t *testing.T) {
	r := newRig(t, 2)
	hanging, finish := make(chan struct{}), make(chan struct{})
	finished := sync.OnceFunc(func() { close(finish) })
	w := r.worker(func(c *Config) {
		c.RoundTime = time.Millisecond
		c.Handler = collect(func(ev Event) error {
			if ev.Key == "bad\n" {
				close(hanging)
				<-finish
			}
			return nil
		})
	})
	t.Cleanup(finished) // before the worker is stopped
	w.waits.hang = time.Millisecond
	require.NoError(t, w.Start(background))
	r.send(0, "a", "bad\n", "b")
	<-hanging
	eventually(t, func() bool { return w.metric("shards_hanging") == 1 }, "metric")
	eventually(t, func() bool { return w.shard(0).State == stateHanging }, "state")
	require.Regexp(t, `level=ERROR msg="handler does not return; its shard waits for it" shard=0 key_hash=[0-9a-f]{16} key=bad\\n`, w.log.String())
	r.send(1, "c")
	eventually(t, func() bool { return len(r.state("c")) == 1 }, "the other shard")
	eventually(t, func() bool { return w.Ready() == nil }, "ready")
	require.Equal(t, "shard 0: "+stateHanging, w.Stuck())
	finished()
	r.applied()
	require.Zero(t, w.metric("shards_hanging"))
	require.Empty(t, w.Stuck())
	require.Contains(t, w.log.String(), "handler has returned")
	require.Equal(t, 1, strings.Count(w.log.String(), "handler does not return"))
}

// Another worker waits for a shard whose handler hangs here. Neither is unready for it in the end, and both say so.
func TestShardThatIsNotHandedOver(t *testing.T) {
	r := newRig(t, 1)
	hanging, finish := make(chan struct{}), make(chan struct{})
	w := r.worker(func(c *Config) {
		c.RoundTime = time.Millisecond
		c.Handler = collect(func(Event) error {
			close(hanging)
			<-finish
			return nil
		})
	})
	w.waits.hang, w.waits.handover = time.Millisecond, time.Second
	t.Cleanup(func() { close(finish) }) // before the worker is stopped
	require.NoError(t, w.Start(background))
	r.send(0, "a")
	<-hanging
	eventually(t, func() bool { return w.shard(0).State == stateHanging }, "hangs")
	var next *tester
	for next == nil || len(next.group.Unsettled()) == 0 { // the next member to which the shard is assigned
		next = r.worker()
		next.waits.handover = w.waits.handover
		require.NoError(t, next.Start(background))
		eventually(t, next.group.Joined, "joined")
	}
	require.ErrorContains(t, next.Ready(), "being handed over")
	eventually(t, func() bool { return next.Ready() == nil && w.Ready() == nil }, "ready")
	require.Contains(t, next.Stuck(), "shard 0: not handed over for")
	require.Equal(t, "shard 0: "+stateHanging, w.Stuck())
}

// What a round costs beside the handler, its stint included.
func BenchmarkApply(b *testing.B) {
	const events = 1000
	s := claimed(testShard, store.Record{}, &budget{max: 1 << 20})
	s.stint.limit, s.stint.hang = time.Hour, hangTime // what a busy machine does is not measured
	p := sent{publisher: 1, generation: 1, floor: 1}
	for i := range events {
		p.events = append(p.events, sentEvent{seq: uint64(i + 1), key: strconv.Itoa(i % 100)})
	}
	r := testRound()
	require.NoError(b, r.add(batchAt(1, p)))
	var h Handler = after{collect(nil), func() {}}
	s.fill(make([][]byte, len(s.missing(r))))
	for b.Loop() {
		s.run(background, h, r)
		c, end := s.commit(h, r)
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
