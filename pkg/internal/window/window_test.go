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

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func testWindow(maxEvents, maxBytes int) *Window {
	return New(Limits{Events: maxEvents, Bytes: maxBytes, Timeout: 30 * time.Second},
		frame.Session{Publisher: frame.PublisherID{1}, Generation: 1, Birth: start.UnixMilli()})
}

func testEvent(t require.TestingT, key string, tag uint64, size int) *Event {
	d, err := frame.NewDraft(key, make([]byte, size), "", nil, false)
	require.NoError(t, err)
	return &Event{Of: tag, Draft: d}
}

func tagOf(e *Event) uint64 { return e.Of.(uint64) }

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

// Whatever happens, in whatever order: a key has one frame in flight; its events leave in the order added; after a give-up
// only with a floor above; never too far above the floor; what a frame says of its floor is true; and all is accounted for.
func TestWindowKeepsItsRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := &world{w: testWindow(rapid.SampledFrom([]int{1, 5, 50, 200}).Draw(t, "maxEvents"), rapid.SampledFrom([]int{1, 50_000, 1 << 20, 1 << 20, 1 << 20}).Draw(t, "maxBytes")), now: start,
			queued: map[string][]uint64{}, events: map[uint64]*Event{}, flying: map[uint64]*Frame{}, gaveUp: map[string]uint64{}, open: map[uint64]bool{}, floor: 1}
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
	f, ok := x.w.resolve(id, stored)
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

// One stuck event must not let the others run away: nothing leaves more than MaxSpan above the floor.
func TestSpanIsBounded(t *testing.T) {
	w := testWindow(1<<20, 1<<30)
	w.Add(testEvent(t, "stuck", 1, 1), "stuck", start)
	stuck := w.Next(start)
	require.NotNil(t, stuck)
	for i := range frame.MaxSpan + 1000 {
		key := fmt.Sprint(i)
		w.Add(testEvent(t, key, 2, 1), key, start)
	}
	for f := w.Next(start.Add(freeAfter)); f != nil; f = w.Next(start.Add(freeAfter)) {
		require.LessOrEqual(t, f.Events[len(f.Events)-1].Seq, uint64(1+frame.MaxSpan))
		w.resolve(f.ID, true)
	}
	require.Equal(t, uint64(1+frame.MaxSpan), w.seq)
	require.Equal(t, uint64(1), w.floor)
	w.resolve(stuck.ID, false)
	require.Equal(t, w.seq+1, w.floor)
	require.True(t, w.MayLeave(start))
}

// A frame leaves at once when the pipe is free, and gathers while it is not.
func TestFramesGatherWhileThePipeIsBusy(t *testing.T) {
	w := testWindow(10_000, 1<<30)
	w.Add(testEvent(t, "free", 0, 100), "free", start)
	require.NotNil(t, w.Next(start))
	for i := range 500 {
		key := fmt.Sprint(i)
		w.Add(testEvent(t, key, 0, 1000), key, start)
		f := w.Next(start)
		if i+1 < frame.MaxFrameBytes/1100 {
			require.Nil(t, f, "event %d", i)
		}
		if f != nil {
			require.Greater(t, len(f.Data), frame.MaxFrameBytes*9/10)
			require.LessOrEqual(t, len(f.Data), frame.MaxFrameBytes)
			return
		}
	}
	t.Fatal("no full frame left")
}

// A frame that is lost, or on a long way, does not hold up other keys for as long as it takes.
func TestFrameWithoutAnswerLeavesThePipeToOthers(t *testing.T) {
	w := testWindow(10, 1<<20)
	w.Add(testEvent(t, "a", 1, 1), "a", start)
	require.NotNil(t, w.Next(start))
	require.Equal(t, start.Add(freeAfter), w.NextDue(start))
	w.Add(testEvent(t, "b", 2, 1), "b", start)
	w.Add(testEvent(t, "a", 3, 1), "a", start)
	require.Nil(t, w.Next(start.Add(freeAfter-1)))
	f := w.Next(start.Add(freeAfter))
	require.NotNil(t, f)
	require.Len(t, f.Events, 1)
	require.Equal(t, "b", f.Events[0].key.key, "a key has at most one frame in flight")
}

func TestRenewedSessionWaitsForAllInFlight(t *testing.T) {
	w := testWindow(10, 1<<20)
	w.Add(testEvent(t, "a", 1, 1), "a", start)
	f := w.Next(start)
	later := start.Add(sessionAge + time.Millisecond)
	w.Add(testEvent(t, "b", 2, 1), "b", later)
	require.Nil(t, w.Next(later), "drained before it is renewed")
	require.False(t, w.MayLeave(later))
	require.Equal(t, []*Frame{f}, w.Late(later).GivenUp)
	require.True(t, w.MayLeave(later))
	f = w.Next(later)
	var fr frame.Frame
	require.NoError(t, fr.Decode(f.Data))
	require.Equal(t, uint64(2), fr.Session.Generation)
	require.Equal(t, later.UnixMilli(), fr.Session.Birth)
	require.Equal(t, uint64(2), fr.Floor, "above all of the generation before")
}

// A session born in the future is one whose clock was set back since: routers would refuse it.
func TestSessionFromTheFutureIsRenewed(t *testing.T) {
	w := testWindow(10, 1<<20)
	past := start.Add(-sessionSkew - time.Millisecond)
	w.Add(testEvent(t, "a", 1, 1), "a", past)
	var fr frame.Frame
	require.NoError(t, fr.Decode(w.Next(past).Data))
	require.Equal(t, uint64(2), fr.Session.Generation)
	require.Equal(t, past.UnixMilli(), fr.Session.Birth)
}

// What an answer means depends on whether an attempt before it may have been stored.
func TestAnswers(t *testing.T) {
	final := frame.Answer{Code: frame.SessionTooOld}
	busy := frame.Answer{Code: frame.Busy, Retry: true}
	leave := func() (*Window, *Frame) {
		w := testWindow(10, 1<<20)
		w.Add(testEvent(t, "a", 1, 1), "a", start)
		return w, w.Next(start)
	}
	w, f := leave()
	got, outcome := w.Answered(f.ID, 1, final, start)
	require.Equal(t, f, got)
	require.Equal(t, Refused, outcome, "the only attempt")
	_, outcome = w.Answered(f.ID, 1, frame.Answer{}, start)
	require.Equal(t, InFlight, outcome, "resolved before")

	w, f = leave()
	_, outcome = w.Answered(f.ID, 1, busy, start)
	require.Equal(t, InFlight, outcome)
	require.Equal(t, start.Add(minBackoff), w.NextDue(start.Add(freeAfter)))
	require.Equal(t, []*Frame{f}, w.Late(start.Add(minBackoff)).Again)
	require.Equal(t, 2, f.Attempt)
	due := w.NextDue(start.Add(minBackoff))
	w.Answered(f.ID, 1, busy, start.Add(minBackoff))
	require.Equal(t, due, w.NextDue(start.Add(minBackoff)), "the word on an attempt that another has followed")
	_, outcome = w.Answered(f.ID, 2, final, start)
	require.Equal(t, Unknown, outcome, "the first attempt may be stored")

	w, f = leave()
	w.NotTaken(f.ID, 1)
	require.False(t, f.MayBeStored())
	w.Late(start.Add(attemptTimeout))
	require.True(t, f.MayBeStored(), "nothing is known of the second attempt")
	_, outcome = w.Answered(f.ID, 2, final, start)
	require.Equal(t, Refused, outcome, "the first attempt came to nobody")

	w, f = leave()
	w.Late(start.Add(attemptTimeout))
	w.NotTaken(f.ID, 1)
	w.NotTaken(f.ID, 2)
	require.True(t, f.MayBeStored(), "of an attempt that another has followed this comes too late")

	w, f = leave()
	_, outcome = w.Answered(f.ID, 7, frame.Answer{}, start)
	require.Equal(t, Stored, outcome)
	require.Zero(t, w.Outstanding())
}

// Without an answer a frame is sent again after a wait that doubles, and given up when its time is up.
func TestFramesAreSentAgainAndGivenUp(t *testing.T) {
	w := testWindow(10, 1<<20)
	w.Add(testEvent(t, "a", 1, 1), "a", start)
	f := w.Next(start)
	now := start
	for attempt, wait := range []time.Duration{attemptTimeout, 2 * attemptTimeout, maxBackoff, maxBackoff} {
		require.Empty(t, w.Late(now.Add(wait-1)).Again, "attempt %d", attempt+1)
		now = now.Add(wait)
		require.Equal(t, []*Frame{f}, w.Late(now).Again)
	}
	o := w.Late(start.Add(w.limits.Timeout))
	require.Equal(t, []*Frame{f}, o.GivenUp)
	require.Empty(t, o.Again)
	require.Zero(t, w.Outstanding())
	require.Zero(t, w.NextDue(start))
}

// After a connection was lost nothing waits for answers that it took along.
func TestFramesAreSentAgainAtOnce(t *testing.T) {
	w := testWindow(10, 1<<20)
	w.Add(testEvent(t, "a", 1, 1), "a", start)
	f := w.Next(start)
	w.SendAgain(start.Add(1))
	require.Equal(t, start.Add(1), w.NextDue(start.Add(freeAfter)))
	require.Equal(t, []*Frame{f}, w.Late(start.Add(1)).Again)
	require.Equal(t, 2, f.Attempt)
}

// However many events wait, of one key or of many, none is searched for: this would take minutes.
func TestManyAreWithdrawn(t *testing.T) {
	for _, keys := range []int{1, 100_000} {
		w := testWindow(1<<20, 1<<30)
		events := make([]*Event, 100_000)
		for i := range events {
			key := fmt.Sprint(i % keys)
			events[i] = testEvent(t, key, uint64(i), 1)
			w.Add(events[i], key, start)
		}
		for _, e := range slices.Backward(events) {
			require.True(t, w.Withdraw(e))
		}
		require.Zero(t, w.Outstanding())
		require.Empty(t, w.keys)
	}
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
		w.Add(&Event{Draft: d}, keys[i%len(keys)], start)
		i++
		if w.readyBytes >= frame.MaxFrameBytes {
			f := w.Next(start)
			w.resolve(f.ID, true)
		}
	}
}

// An event whose key has a frame in flight does not expire before that frame: a key's events are resolved in order.
func TestEventDoesNotExpireBeforeThoseAheadOfIt(t *testing.T) {
	w := testWindow(10, 1<<20)
	w.Add(testEvent(t, "a", 1, 1), "a", start)
	late := start.Add(w.limits.Timeout - time.Millisecond) // it leaves late, and is given the time of one attempt
	f := w.Next(late)
	w.Add(testEvent(t, "a", 2, 1), "a", start)
	expired := start.Add(w.limits.Timeout)
	require.True(t, f.deadline.After(expired))
	require.Empty(t, w.expire(expired))
	f.resendAt = f.deadline.Add(time.Hour)
	require.Equal(t, f.deadline, w.NextDue(late.Add(freeAfter)), "nothing is due before the frame is")
	w.resolve(f.ID, false)
	require.Len(t, w.expire(expired), 1)
}
