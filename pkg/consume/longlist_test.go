package consume

import (
	"context"
	"encoding/binary"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// Two lists of 100,000 events, more than 100 MiB each as they are stored. The worker may hold some pieces of one.
const (
	longList      = 100_000
	longListBytes = 1 << 10 // of an event's data
	longListHeap  = 60 << 20
	longListRead  = 2 * droppedBytes // between two commits
)

// counter is a state that stays small.
type counter struct{ Applied uint64 }

// Long lists of two keys are set aside and parked. One is retried to its end, and the other is dropped. Meanwhile other keys go on, and
// the worker's memory does not grow with the lists.
func TestManyEventsOfAKeyAreWorkedOffInPieces(t *testing.T) {
	r := newRig(t, 1)
	var mended atomic.Bool
	var disorder atomic.Uint64
	half, wait := make(chan struct{}), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(wait) })
	t.Cleanup(goOn)
	h := Typed(func(_ context.Context, s *counter, ev Event) error {
		switch {
		case ev.Key == "bad" && mended.Load():
			if binary.BigEndian.Uint64(ev.Data) != s.Applied {
				disorder.Add(1)
			}
			if s.Applied == longList/2 {
				close(half)
				<-wait
			}
		case ev.Key == "bad", ev.Key == "gone":
			return errRefused
		}
		s.Applied++
		return nil
	})
	var dropped, between atomic.Uint64 // commits that drop a piece, and commits of "other" since the first of them
	var read, most atomic.Int64        // bytes of lists: read since the last commit, and the most that were
	heap := new(heapPeak)
	w := r.start(quickly, handler(h), func(c *Config) {
		c.Attempts, c.HandlerTimeout = 2, 10*time.Minute
		open := c.Store
		c.Store = func(id string) store.Store {
			return &beforeCommits{Store: open(id), read: &read, most: &most, look: func(c *store.Commit) {
				heap.look()
				switch {
				case mended.Load() && len(c.Lists) == 1 && c.Lists[0].Key == "gone" && c.Lists[0].Till > 0:
					if dropped.Add(1) == 1 {
						r.sendLong("other", 1)
					}
				case dropped.Load() > 0 && len(c.States) > 0 && c.States[0].Key == "other":
					between.Store(dropped.Load())
				}
			}}
		}
	})
	r.sendLong("first", 1)
	r.comesTo("first", 1)

	retry, drop := r.sendLong("bad", longList), r.sendLong("gone", longList)
	for _, key := range []string{"bad", "gone"} {
		within(t, func() bool { h := r.head(key); return r.parked(key) && h.Len() == longList }, "key %s is not parked with all of its events", key)
	}
	heap.begin() // the log's server is in this process too, and holds some of the log until now
	mended.Store(true)
	retry.Op, drop.Op = frame.CommandRetry, frame.CommandDrop
	r.order(retry)
	<-half
	r.sendLong("meanwhile", 10)
	r.comesTo("meanwhile", 10)
	require.NotNil(t, r.head("bad"))
	goOn()
	within(t, func() bool { return r.head("bad") == nil }, "not retried to the end")
	r.comesTo("bad", longList)
	require.Zero(t, disorder.Load(), "events that came out of order")

	require.Less(t, heap.most(), uint64(longListHeap), "while one is retried")
	r.order(drop)
	within(t, func() bool { return r.head("gone") == nil }, "not dropped")
	r.comesTo("other", 1)
	require.GreaterOrEqual(t, dropped.Load(), uint64(longList/droppedAtOnce))
	require.Less(t, between.Load(), dropped.Load(), "another key's event waited for the last piece")
	require.Equal(t, store.Proof{Dropped: longList}, r.proof("gone"))
	require.Zero(t, w.metric("events_set_aside"))
	require.Less(t, heap.most(), uint64(longListHeap), "while the other is dropped")
	require.Less(t, most.Load(), int64(longListRead), "bytes of lists that were read for one commit")
	require.Positive(t, most.Load())
}

// sendLong writes n events of a key into the log of shard 0, each with its index. It returns a command about them, without its
// operation.
func (r *rig) sendLong(key string, n int) frame.Command {
	r.t.Helper()
	padding := strings.Repeat("x", longListBytes-8)
	first := r.seq + 1
	for i := 0; i < n; {
		p := sent{publisher: 1, generation: 1, floor: r.seq + 1}
		for len(p.events) < 200 && i < n {
			r.seq++
			data := string(binary.BigEndian.AppendUint64(nil, uint64(i))) + padding
			p.events = append(p.events, sentEvent{seq: r.seq, key: key, data: data})
			i++
		}
		r.put(0, batchFor(0, p), nats.Header{})
	}
	return frame.Command{Key: key, First: id(int(first)), Last: id(int(r.seq)), Count: uint64(n)}
}

// proof is that of a key's state.
func (r *rig) proof(key string) store.Proof {
	r.t.Helper()
	states, _, err := r.store().States(background, 0, []string{key})
	require.NoError(r.t, err)
	if states[0] == nil {
		return store.Proof{}
	}
	proof, _, err := store.SplitState(states[0])
	require.NoError(r.t, err)
	return proof
}

// comesTo waits until so many events are applied to a key.
func (r *rig) comesTo(key string, n uint64) {
	r.t.Helper()
	within(r.t, func() bool { return r.proof(key).Count == n }, "key %s: %d events are applied", key, n)
}

// within is eventually for what takes long on a busy machine.
func within(t *testing.T, condition func() bool, what string, args ...any) {
	t.Helper()
	require.Eventually(t, condition, 2*time.Minute, 10*time.Millisecond, append([]any{what}, args...)...)
}

// beforeCommits is a store that is watched.
type beforeCommits struct {
	store.Store
	look       func(*store.Commit)
	read, most *atomic.Int64
}

func (b *beforeCommits) Aside(ctx context.Context, shard int, version store.Version, key string, from uint64, n int) ([][]byte, error) {
	events, err := b.Store.Aside(ctx, shard, version, key, from, n)
	for _, e := range events {
		b.read.Add(int64(len(e)))
	}
	return events, err
}

func (b *beforeCommits) Commit(ctx context.Context, c *store.Commit) error {
	b.most.Store(max(b.most.Load(), b.read.Swap(0)))
	b.look(c)
	return b.Store.Commit(ctx, c)
}

// heapPeak is the most that was reachable on the heap, as seen at some commits.
type heapPeak struct {
	base, peak, looks atomic.Uint64
}

func (h *heapPeak) begin() {
	h.base.Store(liveHeap())
	h.peak.Store(0)
}

func (h *heapPeak) look() {
	if h.looks.Add(1)%4 == 0 {
		h.peak.Store(max(h.peak.Load(), liveHeap()))
	}
}

// most is by how many bytes the heap has grown at most, since most was asked last.
func (h *heapPeak) most() uint64 {
	base := h.base.Load()
	return max(h.peak.Swap(0), base) - base
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
