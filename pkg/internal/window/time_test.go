package window

import (
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"github.com/stretchr/testify/require"
)

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
