package publish

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func testWindow(maxEvents, maxBytes int) *window {
	return newWindow(Config{MaxEvents: maxEvents, MaxBytes: maxBytes, DeliveryTimeout: 30 * time.Second},
		frame.Session{Publisher: frame.PublisherID{1}, Generation: 1, Birth: start.UnixMilli()})
}

func testEvent(t require.TestingT, key string, tag uint64, size int) *Handle {
	d, err := frame.NewDraft(key, make([]byte, size), "", nil, false)
	require.NoError(t, err)
	return &Handle{Tag: tag, draft: d}
}

// world drives a window and keeps its own account of what it may do.
type world struct {
	w      *window
	now    time.Time
	tag    uint64
	queued map[string][]uint64 // tags, by key, in the order added
	flying map[uint64]*outFrame
	gaveUp map[string]uint64 // the highest seq given up
	open   map[uint64]bool   // seqs not resolved
	floor  uint64
}

// Whatever happens, in whatever order: a key has one frame in flight; its events leave in the order added; after a give-up
// only with a floor above; never too far above the floor; what a frame says of its floor is true; and all is accounted for.
func TestWindowKeepsItsRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := &world{w: testWindow(rapid.SampledFrom([]int{1, 5, 50, 200}).Draw(t, "maxEvents"), rapid.SampledFrom([]int{1, 50_000, 1 << 20, 1 << 20, 1 << 20}).Draw(t, "maxBytes")), now: start,
			queued: map[string][]uint64{}, flying: map[uint64]*outFrame{}, gaveUp: map[string]uint64{}, open: map[uint64]bool{}, floor: 1}
		t.Repeat(map[string]func(*rapid.T){
			"add":     x.add,
			"leave":   func(t *rapid.T) { x.leave(t) },
			"go on":   func(t *rapid.T) { x.add(t); x.leave(t) }, // as a publisher does most of the time
			"stored":  func(t *rapid.T) { x.resolve(t, true) },
			"give up": func(t *rapid.T) { x.resolve(t, false) },
			"wait": func(t *rapid.T) {
				x.now = x.now.Add(time.Duration(rapid.IntRange(1, 20_000).Draw(t, "ms")) * time.Millisecond)
				for _, h := range x.w.expire(x.now) {
					key := x.keyOf(h.Tag)
					require.Equal(t, h.Tag, x.queued[key][0], "an event expired before an older one of its key")
					require.False(t, x.now.Before(h.deadline))
					x.queued[key] = x.queued[key][1:]
				}
			},
			"renew": func(t *rapid.T) {
				before := x.w.session.Generation
				began := x.w.begin(x.now)
				require.Equal(t, len(x.flying) == 0, began)
				if began {
					require.Equal(t, before+1, x.w.session.Generation)
				}
			},
			"": x.check,
		})
		// At the end all can leave and be resolved.
		for range 10_000 {
			for x.leave(t) {
			}
			if len(x.flying) == 0 {
				break
			}
			x.resolve(t, true)
			x.check(t)
		}
		require.Zero(t, x.w.events)
		require.Zero(t, x.w.bytes)
		require.Zero(t, x.w.readyBytes)
		require.Empty(t, x.w.keys)
		require.Empty(t, x.w.held)
		require.Equal(t, x.w.seq+1, x.w.floor)
	})
}

func (x *world) keyOf(tag uint64) string {
	for key, tags := range x.queued {
		if slices.Contains(tags, tag) {
			return key
		}
	}
	return ""
}

func (x *world) add(t *rapid.T) {
	key := fmt.Sprint("k", rapid.IntRange(0, 2).Draw(t, "key"))
	x.tag++
	h := testEvent(t, key, x.tag, rapid.SampledFrom([]int{0, 10, 10, 10, 10, 1000, 100_000, 400_000}).Draw(t, "size"))
	if x.w.full(h.draft.Size()) {
		return
	}
	x.w.add(h, key, x.now)
	x.queued[key] = append(x.queued[key], h.Tag)
}

func (x *world) leave(t *rapid.T) bool {
	may := x.w.mayLeave()
	busy := map[string]bool{}
	for _, f := range x.flying {
		for _, h := range f.events {
			busy[h.key.key] = true
		}
	}
	f := x.w.next(x.now)
	require.Equal(t, may, f != nil)
	if f == nil {
		return false
	}
	var fr frame.Frame
	require.NoError(t, fr.Decode(f.data))
	require.Len(t, fr.Events, len(f.events))
	require.Equal(t, x.floor, fr.Floor)
	if len(f.events) > 1 {
		require.LessOrEqual(t, len(f.data), frame.MaxFrameBytes)
	}
	for i, h := range f.events {
		key := string(fr.Events[i].Key)
		require.False(t, busy[key], "key %s has two frames in flight", key)
		require.Equal(t, x.queued[key][0], h.Tag, "key %s: events leave out of order", key)
		x.queued[key] = x.queued[key][1:]
		if q, ok := x.gaveUp[key]; ok {
			require.Greater(t, fr.Floor, q, "key %s left before the floor had passed its given-up event", key)
			delete(x.gaveUp, key)
		}
		require.Equal(t, fr.Events[i].Seq, h.seq)
		x.open[h.seq] = true
	}
	x.flying[f.id] = f
	return true
}

func (x *world) resolve(t *rapid.T, stored bool) {
	if len(x.flying) == 0 {
		return
	}
	ids := make([]uint64, 0, len(x.flying))
	for id := range x.flying {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	id := rapid.SampledFrom(ids).Draw(t, "frame")
	keys := map[string]uint64{}
	for _, h := range x.flying[id].events {
		delete(x.open, h.seq)
		keys[h.key.key] = h.seq
	}
	require.Equal(t, x.w.frames[id], x.flying[id])
	f, ok := x.w.resolve(id, stored)
	require.True(t, ok)
	require.Equal(t, id, f.id)
	_, ok = x.w.resolve(id, stored)
	require.False(t, ok, "resolved twice")
	delete(x.flying, id)
	if !stored {
		for key, seq := range keys {
			x.gaveUp[key] = max(x.gaveUp[key], seq)
		}
	}
}

func (x *world) check(t *rapid.T) {
	x.floor = x.w.seq + 1
	for seq := range x.open {
		x.floor = min(x.floor, seq)
	}
	require.Equal(t, x.floor, x.w.floor)
	for _, f := range x.flying {
		for _, h := range f.events {
			require.LessOrEqual(t, h.seq-x.w.floor, uint64(frame.MaxSpan))
		}
	}
	n := len(x.open)
	for _, tags := range x.queued {
		n += len(tags)
	}
	require.Equal(t, n, x.w.events)
}

// One stuck event must not let the others run away: nothing leaves more than MaxSpan above the floor.
func TestSpanIsBounded(t *testing.T) {
	w := testWindow(1<<20, 1<<30)
	w.freeFrames = 1 << 20
	w.add(testEvent(t, "stuck", 1, 1), "stuck", start)
	stuck := w.next(start)
	require.NotNil(t, stuck)
	for i := range frame.MaxSpan + 1000 {
		key := fmt.Sprint(i)
		w.add(testEvent(t, key, 2, 1), key, start)
	}
	for f := w.next(start); f != nil; f = w.next(start) {
		require.LessOrEqual(t, f.events[len(f.events)-1].seq, uint64(1+frame.MaxSpan))
		w.resolve(f.id, true)
	}
	require.Equal(t, uint64(1+frame.MaxSpan), w.seq)
	require.Equal(t, uint64(1), w.floor)
	w.resolve(stuck.id, false)
	require.Equal(t, w.seq+1, w.floor)
	require.True(t, w.mayLeave())
}

// A frame leaves at once when the pipe is free, and gathers while it is not.
func TestFramesGatherWhileThePipeIsBusy(t *testing.T) {
	w := testWindow(10_000, 1<<30)
	for i := range freeFrames {
		key := fmt.Sprint("free", i)
		w.add(testEvent(t, key, 0, 100), key, start)
		require.NotNil(t, w.next(start))
	}
	for i := range 500 {
		key := fmt.Sprint(i)
		w.add(testEvent(t, key, 0, 1000), key, start)
		f := w.next(start)
		if i+1 < frame.MaxFrameBytes/1100 {
			require.Nil(t, f, "event %d", i)
		}
		if f != nil {
			require.Greater(t, len(f.data), frame.MaxFrameBytes*9/10)
			require.LessOrEqual(t, len(f.data), frame.MaxFrameBytes)
			return
		}
	}
	t.Fatal("no full frame left")
}

func TestRenewedSessionWaitsForAllInFlight(t *testing.T) {
	w := testWindow(10, 1<<20)
	w.add(testEvent(t, "a", 1, 1), "a", start)
	f := w.next(start)
	w.renew = true
	w.add(testEvent(t, "b", 2, 1), "b", start)
	require.Nil(t, w.next(start), "drained before it is renewed")
	require.False(t, w.begin(start))
	w.resolve(f.id, false)
	require.True(t, w.begin(start.Add(time.Hour)))
	f = w.next(start)
	var fr frame.Frame
	require.NoError(t, fr.Decode(f.data))
	require.Equal(t, uint64(2), fr.Session.Generation)
	require.Equal(t, start.Add(time.Hour).UnixMilli(), fr.Session.Birth)
	require.Equal(t, uint64(2), fr.Floor, "above all of the generation before")
}

func BenchmarkWindow(b *testing.B) {
	w := testWindow(1<<20, 1<<30)
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = fmt.Sprint("load-abcdef-", i)
	}
	data := make([]byte, 128)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		d, _ := frame.NewDraft(keys[i%len(keys)], data, "", nil, false)
		w.add(&Handle{draft: d}, keys[i%len(keys)], start)
		i++
		if w.readyBytes >= frame.MaxFrameBytes {
			f := w.next(start)
			w.resolve(f.id, true)
		}
	}
}

// An event whose key has a frame in flight does not expire before that frame: a key's events are resolved in order.
func TestEventDoesNotExpireBeforeThoseAheadOfIt(t *testing.T) {
	w := testWindow(10, 1<<20)
	w.add(testEvent(t, "a", 1, 1), "a", start)
	late := start.Add(w.timeout - time.Millisecond) // it leaves late, and is given the time of one attempt
	f := w.next(late)
	w.add(testEvent(t, "a", 2, 1), "a", start)
	expired := start.Add(w.timeout)
	require.True(t, f.deadline.After(expired))
	require.Empty(t, w.expire(expired))
	f.resendAt = f.deadline.Add(time.Hour)
	require.Equal(t, f.deadline, w.nextDue(), "nothing is due before the frame is")
	w.resolve(f.id, false)
	require.Len(t, w.expire(expired), 1)
}
