package drive

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"example.com/lockstep/pkg/load/internal/expect"
	"example.com/lockstep/pkg/load/internal/pace"
)

func TestTag(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.IntRange(0, expect.MaxKeys-1).Draw(t, "key")
		receipt := rapid.Bool().Draw(t, "receipt")
		intended := rapid.Int64Range(0, int64(maxElapsed)).Draw(t, "intended")
		at := newTag(key, receipt, time.Duration(intended))
		require.Equal(t, key, at.key())
		require.Equal(t, receipt, at.receipt())
		require.Equal(t, time.Duration(intended).Truncate(time.Microsecond), at.intended())
	})
}

func bound(t require.TestingT, schedule string, duration, warmUp time.Duration) pace.Pacer {
	s, err := pace.Parse(schedule)
	require.NoError(t, err)
	p, err := s.Over(duration, warmUp)
	require.NoError(t, err)
	return p
}

// However late the sender wakes, every event is sent with its own time, none
// before it, and the sender sleeps about once a tick.
func TestPacedKeepsTheIntendedTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		warmUp := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "warm-up"))
		duration := time.Duration(rapid.Int64Range(int64(100*time.Millisecond), int64(time.Second)).Draw(t, "duration"))
		rates := []string{strconv.Itoa(rapid.IntRange(1, 100_000).Draw(t, "rate")), "ramp:1:20000", "steps:10,5000,100", "spike:10:9000:20ms:30ms"}
		parts := rapid.Uint64Range(1, 4).Draw(t, "parts")
		pacer := part{bound(t, rapid.SampledFrom(rates).Draw(t, "schedule"), duration, warmUp), rapid.Uint64Range(0, parts-1).Draw(t, "part"), parts}
		var now time.Duration
		sleeps := 0
		p := newPaced(pacer, warmUp, duration, 0)
		p.grace = time.Hour
		p.elapsed = func() time.Duration { return now }
		p.sleep = func(d time.Duration) {
			require.True(t, d >= tick && d <= nap)
			now += d + time.Duration(rapid.Int64Range(0, int64(5*time.Millisecond)).Draw(t, "oversleep"))
			sleeps++
		}
		k := uint64(0)
		for ; ; k++ {
			due, ok := p.next(context.Background(), k)
			if !ok {
				break
			}
			require.Equal(t, pacer.Intended(k), due)
			require.GreaterOrEqual(t, now, due)
			require.Equal(t, now-due, p.lag(due))
			require.Equal(t, due, p.delayed(due))
		}
		require.Equal(t, pacer.Events(warmUp+duration), k, "every event due within the duration was sent")
		require.LessOrEqual(t, sleeps, int((warmUp+duration)/tick)+2)
		overdue, unsent := p.missed(k)
		require.Zero(t, overdue, "what is sent within 10 ms is in time")
		require.Zero(t, unsent)
	})
}

func TestPacedByNumberOfEvents(t *testing.T) {
	now := time.Hour
	p := newPaced(part{bound(t, "1000", 0, 100*time.Millisecond), 0, 1}, 100*time.Millisecond, 0, 50)
	p.grace, p.elapsed = 2*time.Hour, func() time.Duration { return now }
	k := uint64(0)
	for ; ; k++ {
		if _, ok := p.next(context.Background(), k); !ok {
			break
		}
	}
	require.EqualValues(t, 150, k, "100 of the warm-up, and 50")
	overdue, unsent := p.missed(k)
	require.EqualValues(t, 150, overdue, "all of them an hour late")
	require.Zero(t, unsent)
}

func TestPacedGivesUpWhatIsTooLate(t *testing.T) {
	var now time.Duration
	p := newPaced(part{bound(t, "1000", time.Second, 0), 0, 1}, 0, time.Second, 0)
	p.grace, p.elapsed, p.sleep = 2*time.Second, func() time.Duration { return now }, func(time.Duration) { t.Fatal("it is late") }
	k := uint64(0)
	for ; ; k++ {
		now += 10 * time.Millisecond // what each event takes
		if _, ok := p.next(context.Background(), k); !ok {
			break
		}
	}
	require.InDelta(t, 300, k, 64)
	overdue, unsent := p.missed(k)
	require.InDelta(t, 900, overdue, 64, "100 were sent within the second")
	require.Equal(t, 1000-k, unsent)
}

func TestInterruptedIsNotOverdue(t *testing.T) {
	var now time.Duration
	p := newPaced(part{bound(t, "1000", time.Hour, 0), 0, 1}, 0, time.Hour, 0)
	ctx, interrupt := context.WithCancel(context.Background())
	p.elapsed, p.sleep = func() time.Duration { return now }, func(d time.Duration) {
		if now += d; now > time.Second {
			interrupt()
		}
	}
	k := uint64(0)
	for ; ; k++ {
		if _, ok := p.next(ctx, k); !ok {
			break
		}
	}
	overdue, unsent := p.missed(k)
	require.LessOrEqual(t, overdue, uint64(2))
	require.Equal(t, overdue, unsent)
}

func TestUnpacedCountsFromWhenThereIsRoom(t *testing.T) {
	now := time.Millisecond
	u := &unpaced{end: time.Second, elapsed: func() time.Duration { return now }}
	at, ok := u.next(context.Background(), 0)
	require.True(t, ok)
	require.Equal(t, now, at)
	now = 5 * time.Millisecond
	require.Equal(t, now, u.delayed(at))
	now = time.Second
	_, ok = u.next(context.Background(), 15)
	require.True(t, ok, "the clock is read every 16 events")
	_, ok = u.next(context.Background(), 16)
	require.False(t, ok)
}

func TestUnpacedByNumberOfEvents(t *testing.T) {
	now := time.Duration(0)
	u := &unpaced{warmUp: time.Second, events: 40, elapsed: func() time.Duration { return now }}
	k := uint64(0)
	for ; ; k++ {
		if k == 100 {
			now = time.Second
		}
		if _, ok := u.next(context.Background(), k); !ok {
			break
		}
	}
	require.EqualValues(t, 112+40, k, "the clock is read at event 112")
}

// Several parts send just what one alone would have, at the same times.
func TestPartsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := bound(t, "steps:7,500,20000", 300*time.Millisecond, 10*time.Millisecond)
		of := rapid.Uint64Range(1, 9).Draw(t, "parts")
		until := time.Duration(rapid.Int64Range(0, int64(400*time.Millisecond)).Draw(t, "until"))
		var events uint64
		for i := range of {
			p := part{all, i, of}
			n := p.Events(until)
			events += n
			if n > 0 {
				require.Less(t, p.Intended(n-1), until)
			}
			require.GreaterOrEqual(t, p.Intended(n), until)
		}
		require.Equal(t, all.Events(until), events)
	})
}
