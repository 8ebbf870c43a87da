package load

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"example.com/lockstep/services/producer/internal/expect"
	"example.com/lockstep/services/producer/internal/pace"
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

// However late the sender wakes, every event is sent with its own time, none
// before it, and the sender sleeps about once a tick.
func TestPacedKeepsTheIntendedTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := pace.Rate(rapid.Uint64Range(1, 100_000).Draw(t, "rate"))
		duration := time.Duration(rapid.Int64Range(1, int64(time.Second)).Draw(t, "duration"))
		var now time.Duration
		sleeps := 0
		p := &paced{
			rate: rate, duration: duration, giveUp: time.Hour,
			elapsed: func() time.Duration { return now },
			sleep: func(d time.Duration) {
				require.True(t, d >= tick && d <= nap)
				now += d + time.Duration(rapid.Int64Range(0, int64(5*time.Millisecond)).Draw(t, "oversleep"))
				sleeps++
			},
		}
		k := uint64(0)
		for ; ; k++ {
			due, ok := p.next(context.Background(), k)
			if !ok {
				break
			}
			require.Equal(t, rate.Intended(k), due)
			require.GreaterOrEqual(t, now, due)
			require.Equal(t, due, p.delayed(due))
		}
		require.GreaterOrEqual(t, rate.Intended(k), duration, "every event due within the duration was sent")
		require.LessOrEqual(t, sleeps, int(duration/tick)+2)
	})
}

func TestPacedGivesUpWhatIsTooLate(t *testing.T) {
	var now time.Duration
	p := &paced{
		rate: 1000, duration: time.Second, giveUp: 3 * time.Second,
		elapsed: func() time.Duration { return now }, sleep: func(time.Duration) { t.Fatal("it is late") },
	}
	k := uint64(0)
	for ; ; k++ {
		now += 10 * time.Millisecond // what each event takes
		if _, ok := p.next(context.Background(), k); !ok {
			break
		}
	}
	require.InDelta(t, 300, k, 64)
}

func TestUnpacedCountsFromWhenThereIsRoom(t *testing.T) {
	now := time.Millisecond
	u := &unpaced{duration: time.Second, elapsed: func() time.Duration { return now }}
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
