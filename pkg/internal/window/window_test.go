package window

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"github.com/stretchr/testify/require"
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

// Events that come by themselves gather until the pipe has rested; after that the next one leaves at once.
func TestFramesGatherWhileThePipeRests(t *testing.T) {
	w := testWindow(10, 1<<20)
	add := func(key string, at time.Time) { w.Add(testEvent(t, key, 1, 1), key, at) }
	add("a", start)
	f := w.Next(start)
	add("b", start)
	w.Answered(f.ID, 1, frame.Answer{}, start.Add(rest/4))
	require.Nil(t, w.Next(start.Add(rest/2)), "two were outstanding, and one waits")
	require.Equal(t, start.Add(rest), w.RestsUntil(start.Add(rest/2)))
	require.Equal(t, start.Add(rest), w.NextDue(start.Add(rest/2)))
	rested := start.Add(rest)
	require.Zero(t, w.RestsUntil(rested), "nothing rests: it may leave")
	f = w.Next(rested)
	require.Len(t, f.Events, 1)

	w.Answered(f.ID, 1, frame.Answer{}, rested.Add(rest/2))
	require.Zero(t, w.RestsUntil(rested.Add(rest/2)), "nothing waits")
	require.Zero(t, w.NextDue(rested.Add(rest/2)))
	add("c", rested.Add(rest))
	require.Len(t, w.Next(rested.Add(rest)).Events, 1)
}

// Senders that wait for their answers all wait again before the pipe has rested: it does not hold them up.
func TestRestEndsWhenAllSendersWait(t *testing.T) {
	w := testWindow(10, 1<<20)
	const senders = 3
	for i := range senders {
		w.Add(testEvent(t, fmt.Sprint(i), 1, 1), fmt.Sprint(i), start)
	}
	f := w.Next(start)
	require.Len(t, f.Events, senders)
	for range 5 {
		w.Answered(f.ID, 1, frame.Answer{}, start)
		for i := range senders {
			require.Nil(t, w.Next(start))
			w.Add(testEvent(t, fmt.Sprint(i), 1, 1), fmt.Sprint(i), start)
		}
		f = w.Next(start)
		require.Len(t, f.Events, senders)
	}
	w.Answered(f.ID, 1, frame.Answer{}, start)
	w.Add(testEvent(t, "last", 1, 1), "last", start)
	f = w.Next(start.Add(rest))
	for range 5 {
		require.Len(t, f.Events, 1)
		w.Answered(f.ID, 1, frame.Answer{}, start.Add(rest))
		w.Add(testEvent(t, "last", 1, 1), "last", start.Add(rest))
		f = w.Next(start.Add(rest))
	}
}

// A frame that is large enough does not wait for the rest to end.
func TestRestEndsWithEnoughEvents(t *testing.T) {
	w := testWindow(1000, 1<<20)
	for i := range 4 * enough {
		w.Add(testEvent(t, fmt.Sprint(i), 1, 1), fmt.Sprint(i), start)
	}
	f := w.Next(start)
	w.Answered(f.ID, 1, frame.Answer{}, start)
	for i := range enough {
		require.Nil(t, w.Next(start))
		w.Add(testEvent(t, fmt.Sprint(i), 1, 1), fmt.Sprint(i), start)
	}
	require.Len(t, w.Next(start).Events, enough)
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
