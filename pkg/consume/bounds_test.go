package consume

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestPullLimits(t *testing.T) {
	for _, shards := range []int{1, 2, 8, 16, 17, 64, 256, 4096} {
		messages, bytes := pullLimits(shards)
		require.GreaterOrEqual(t, bytes, minPullBytes, "the largest message fits")
		require.LessOrEqual(t, bytes, maxPullBytes)
		require.GreaterOrEqual(t, messages, minPullMessages)
		if shards <= 16 {
			require.LessOrEqual(t, 2*bytes*shards, feedsBytes)
		}
		if shards <= feedsMessages/2/minPullMessages {
			require.LessOrEqual(t, 2*messages*shards, feedsMessages)
		}
	}
}

// load writes batches of one event each, of so many bytes, spread over all shards and some keys.
func (r *rig) load(n, size int) {
	r.t.Helper()
	data := strings.Repeat("x", size)
	for i := range n {
		r.seq++
		key := fmt.Sprint("key-", i%(64*r.shards))
		r.want[key] = append(r.want[key], fmt.Sprintf("%s-%d", frame.PublisherID{1}, r.seq))
		b := batchFor(i%r.shards, sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{{seq: r.seq, key: key, data: data}}})
		_, err := r.js.PublishMsgAsync(&nats.Msg{Subject: topology.WorkSubject("app", 1, 0, i%r.shards), Data: b},
			jetstream.WithStallWait(time.Minute)) // a busy machine is no error
		require.NoError(r.t, err)
	}
	<-r.js.PublishAsyncComplete()
}

// pulled waits until the server has nothing left to send to any shard's feed, though there is more in the log: nothing more
// comes until the worker takes what it has. It must be so for some time, for an answered pull may be followed by another.
func (r *rig) pulled(w *tester) {
	r.t.Helper()
	s, err := r.js.Stream(background, r.stream())
	require.NoError(r.t, err)
	seen := 0
	eventually(r.t, func() bool {
		consumers, quiet := 0, true
		list := s.ListConsumers(background)
		for c := range list.Info() {
			consumers++
			quiet = quiet && c.NumWaiting == 0 && c.NumPending > 0
		}
		if seen++; list.Err() != nil || consumers != r.shards || !quiet {
			seen = 0
		}
		return seen == 20
	}, "feeds are not full")
	require.NoError(r.t, w.nc.Flush())
}

// heap is what lives in this process.
func heapBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// While the store takes nothing, a worker takes no more from its logs than its bounds allow; then it goes on where it was.
func TestStalledStore(t *testing.T) {
	const (
		shards      = 4
		roundEvents = 100
		rounds      = 1 << 20
	)
	messages, bytes := pullLimits(shards)
	for name, c := range map[string]struct {
		events, size int
		mostMessages int
		mostBytes    int
	}{
		// A pull in each feed, for less than half of it is taken; in each round one message, and what the rounds share; and
		// one on its way between them. The group's own messages come on top.
		"large events": {events: 240, size: 480 << 10, mostMessages: 240 + 1000, mostBytes: shards*(bytes+3*(480<<10)) + rounds},
		"small events": {events: 24_000, size: 1, mostMessages: shards*(messages+roundEvents+2) + 1000, mostBytes: 8 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			addr := testkit.Redis(t)
			r := newRigOn(t, shards, addr)
			link := testkit.NewLink(t, addr)
			state := redis.NewClient(&redis.Options{Addr: link.Addr})
			t.Cleanup(func() { require.NoError(t, state.Close()) })
			w := r.worker(func(c *Config) {
				c.RoundEvents = roundEvents
				c.Store = func(id string) store.Store { return redisstore.New(state, "app", id) }
			})
			w.rounds.max = rounds
			require.NoError(t, w.Start(background))
			eventually(t, func() bool { return w.Ready() == nil }, "ready")

			link.Stall()
			live, before := heapBytes(), w.nc.Stats()
			r.load(c.events, c.size)
			r.pulled(w)
			came := w.nc.Stats()
			require.LessOrEqual(t, came.InMsgs-before.InMsgs, uint64(c.mostMessages))
			require.LessOrEqual(t, came.InBytes-before.InBytes, uint64(c.mostBytes))
			require.LessOrEqual(t, w.rounds.used.Load(), w.rounds.max+shards*(minPullBytes+itemBytes))
			require.Less(t, heapBytes()-live, int64(64<<20), "with the caches of the server, which runs in this process")

			link.Resume()
			r.applied()
			require.Zero(t, w.metric("events_duplicate_total"))
			eventually(t, func() bool { return w.Ready() == nil && w.rounds.used.Load() == 0 }, "ready, and nothing held")
		})
	}
}

// The rounds of all shards share what they may hold; where nothing is left, a round is of one message.
func TestRoundsShareTheirBytes(t *testing.T) {
	r := newRig(t, 2)
	began := make(chan struct{})
	finish := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(finish) })
	w := r.worker(handler(collect(func(Event) error {
		select {
		case began <- struct{}{}:
		case <-finish:
		}
		<-finish
		return nil
	})))
	t.Cleanup(goOn)
	w.rounds.max = 1
	r.load(40, 1000)
	require.NoError(t, w.Start(background))
	<-began
	<-began
	used := w.rounds.used.Load()
	require.Less(t, used, 2*(2000+itemBytes))
	require.Greater(t, used, 2*(1000+itemBytes))
	goOn()
	r.applied()
	eventually(t, func() bool { return w.rounds.used.Load() == 0 }, "nothing held")
	require.NoError(t, w.Stop(background))
}

// A large round's memory is not kept for ever.
func TestRoundLetsGoOfManyItems(t *testing.T) {
	p := sent{publisher: 1, generation: 1, floor: 1}
	for seq := range uint64(keepItems + 1) {
		p.events = append(p.events, sentEvent{seq: seq + 1, key: "k"})
	}
	r := roundOf(t, message{seq: 1, time: time.Now(), data: batch(p)})
	require.Greater(t, r.cost(), int64(keepItems)*itemBytes)
	r.reset()
	require.Zero(t, cap(r.items))
	require.Zero(t, r.cost())
}
