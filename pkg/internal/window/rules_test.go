package window

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// world drives a window and keeps its own account of what it may do.
type world struct {
	w      *Window
	now    time.Time
	tag    uint64
	queued map[string][]uint64 // tags, by key, in the order added
	events map[uint64]*Event   // of all tags that are queued or in flight
	flying map[uint64]*Frame
	gaveUp map[string]uint64 // the highest seq given up
	open   map[uint64]bool   // seqs not resolved
	floor  uint64
}

// In any order of events: a key has one frame in flight; its events leave in the order added; after a give-up
// only with a floor above; never too far above the floor; what a frame says of its floor is true; and all is accounted for.
func TestWindowKeepsItsRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxEvents := rapid.SampledFrom([]int{1, 5, 50, 200}).Draw(t, "maxEvents")
		maxBytes := rapid.SampledFrom([]int{1, 50_000, 1 << 20, 1 << 20, 1 << 20}).Draw(t, "maxBytes")
		x := &world{
			w: testWindow(maxEvents, maxBytes), now: start, queued: map[string][]uint64{}, events: map[uint64]*Event{},
			flying: map[uint64]*Frame{}, gaveUp: map[string]uint64{}, open: map[uint64]bool{}, floor: 1,
		}
		t.Repeat(map[string]func(*rapid.T){
			"add":       x.add,
			"leave":     func(t *rapid.T) { x.leave(t) },
			"go on":     func(t *rapid.T) { x.add(t); x.leave(t) }, // as a publisher does most of the time
			"stored":    func(t *rapid.T) { x.resolve(t, true) },
			"give up":   func(t *rapid.T) { x.resolve(t, false) },
			"withdraw":  x.withdraw,
			"not taken": func(t *rapid.T) { x.any(t, func(f *Frame) { x.w.NotTaken(f.ID, f.Attempt) }) },
			"again":     func(t *rapid.T) { x.any(t, func(f *Frame) { x.again(t, f) }) },
			"wait": func(t *rapid.T) {
				x.now = x.now.Add(time.Duration(rapid.IntRange(1, 20_000).Draw(t, "ms")) * time.Millisecond)
				for _, e := range x.w.expire(x.now) {
					key := x.keyOf(tagOf(e))
					require.Equal(t, tagOf(e), x.queued[key][0], "an event expired before an older one of its key")
					require.False(t, x.now.Before(e.deadline))
					x.queued[key] = x.queued[key][1:]
					delete(x.events, tagOf(e))
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
			x.now = x.now.Add(rest)
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
		require.Nil(t, x.w.ready.first)
		require.Nil(t, x.w.queued.first)
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
	e := testEvent(t, key, x.tag, rapid.SampledFrom([]int{0, 10, 10, 10, 10, 1000, 100_000, 400_000}).Draw(t, "size"))
	if x.w.Full(e.Draft.Size()) {
		return
	}
	x.w.Add(e, key, x.now)
	x.queued[key] = append(x.queued[key], tagOf(e))
	x.events[tagOf(e)] = e
}

// withdraw takes back any event, wherever it stands: one that has left stays.
func (x *world) withdraw(t *rapid.T) {
	if len(x.events) == 0 {
		return
	}
	tag := rapid.SampledFrom(slices.Sorted(maps.Keys(x.events))).Draw(t, "tag")
	e, key, seq := x.events[tag], x.keyOf(tag), x.w.seq
	var f *Frame
	for _, flying := range x.flying {
		if slices.Contains(flying.Events, e) {
			f = flying
		}
	}
	require.Equal(t, key == "", f != nil)
	may := f == nil || !f.MayBeStored()
	require.Equal(t, may, x.w.Withdraw(e))
	require.Equal(t, seq, x.w.seq)
	if !may {
		return
	}
	delete(x.events, tag)
	if f == nil {
		x.queued[key] = slices.DeleteFunc(x.queued[key], func(of uint64) bool { return of == tag })
		return
	}
	require.NotContains(t, f.Events, e)
	delete(x.open, e.Seq)
	if len(f.Events) == 0 {
		delete(x.flying, f.ID)
	}
}

// any picks a frame in flight, if there is one.
func (x *world) any(t *rapid.T, of func(*Frame)) {
	if len(x.flying) > 0 {
		of(x.flying[rapid.SampledFrom(slices.Sorted(maps.Keys(x.flying))).Draw(t, "frame")])
	}
}

// again sends a frame again: as it was, once it may have come to a router, and at any time with all that is still in it.
func (x *world) again(t *rapid.T, f *Frame) {
	before, same := f.Data, f.MayBeStored()
	x.w.again(f, x.now)
	require.True(t, f.MayBeStored())
	if same {
		require.Equal(t, before, f.Data)
	}
	var fr frame.Frame
	require.NoError(t, fr.Decode(f.Data))
	require.Len(t, fr.Events, len(f.Events))
	for i, e := range f.Events {
		require.Equal(t, e.Seq, fr.Events[i].Seq)
		require.Equal(t, e.key.key, string(fr.Events[i].Key))
		require.LessOrEqual(t, fr.Floor, e.Seq)
	}
	require.LessOrEqual(t, fr.Floor, x.w.floor)
}

func (x *world) leave(t *rapid.T) bool {
	may := x.w.MayLeave(x.now)
	busy := map[string]bool{}
	for _, f := range x.flying {
		for _, e := range f.Events {
			busy[e.key.key] = true
		}
	}
	f := x.w.Next(x.now)
	require.Equal(t, may, f != nil)
	if f == nil {
		if len(x.flying) == 0 && x.w.ready.first != nil {
			require.WithinRange(t, x.w.RestsUntil(x.now), x.now.Add(1), x.now.Add(rest), "an event waits for nothing")
		}
		return false
	}
	var fr frame.Frame
	require.NoError(t, fr.Decode(f.Data))
	require.Len(t, fr.Events, len(f.Events))
	require.Equal(t, x.floor, fr.Floor)
	if len(f.Events) > 1 {
		require.LessOrEqual(t, len(f.Data), frame.MaxFrameBytes)
	}
	for i, e := range f.Events {
		key := string(fr.Events[i].Key)
		require.False(t, busy[key], "key %s has two frames in flight", key)
		require.Equal(t, x.queued[key][0], tagOf(e), "key %s: events leave out of order", key)
		x.queued[key] = x.queued[key][1:]
		if q, ok := x.gaveUp[key]; ok {
			require.Greater(t, fr.Floor, q, "key %s left before the floor had passed its given-up event", key)
			delete(x.gaveUp, key)
		}
		require.Equal(t, fr.Events[i].Seq, e.Seq)
		x.open[e.Seq] = true
	}
	x.flying[f.ID] = f
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
	for _, e := range x.flying[id].Events {
		delete(x.open, e.Seq)
		delete(x.events, tagOf(e))
		keys[e.key.key] = e.Seq
	}
	require.Equal(t, x.w.frames[id], x.flying[id])
	f, ok := x.flying[id], true
	if stored {
		f, _ = x.w.Answered(id, f.Attempt, frame.Answer{}, x.now)
	} else {
		f, ok = x.w.resolve(id, false)
	}
	require.True(t, ok)
	require.Equal(t, id, f.ID)
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
		for _, e := range f.Events {
			require.LessOrEqual(t, e.Seq-x.w.floor, uint64(frame.MaxSpan))
		}
	}
	n := len(x.open)
	for _, tags := range x.queued {
		n += len(tags)
	}
	require.Equal(t, n, x.w.events)
	require.Len(t, x.events, n)
	bytes, ready := 0, 0
	for _, e := range x.events {
		bytes += e.Draft.Size()
		if e.Seq == 0 && e.key.ready {
			ready += e.Draft.Size()
		}
	}
	require.Equal(t, bytes, x.w.bytes)
	require.Equal(t, ready, x.w.readyBytes)
}
