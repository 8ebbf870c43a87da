package consume

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var brakeStart = time.Unix(1_700_000_000, 0)

// failMany lets n keys fail at once.
func failMany(b *brake, n int, now time.Time) {
	for i := range n {
		b.failed(b.begin(1), fmt.Sprint("k", i), now)
	}
}

func TestBrake(t *testing.T) {
	for name, c := range map[string]struct {
		attempts func(b *brake)
		braked   bool
	}{
		"nothing fails":                {func(b *brake) { b.succeeded(0, 1000, brakeStart) }, false},
		"nine keys, all fail":          {func(b *brake) { failMany(b, 9, brakeStart) }, false},
		"ten keys, all fail":           {func(b *brake) { failMany(b, 10, brakeStart) }, true},
		"ten failures of a few keys":   {func(b *brake) { failMany(b, 9, brakeStart); failMany(b, 9, brakeStart) }, false},
		"one in five":                  {func(b *brake) { b.succeeded(0, 40, brakeStart); failMany(b, 10, brakeStart) }, false},
		"more than one in five":        {func(b *brake) { b.succeeded(0, 39, brakeStart); failMany(b, 10, brakeStart) }, true},
		"successes that are forgotten": {func(b *brake) { b.succeeded(0, 40, brakeStart); failMany(b, 10, brakeStart.Add(brakeWindow)) }, true},
		"failures that are forgotten": {func(b *brake) {
			failMany(b, 9, brakeStart)
			b.failed(0, "another", brakeStart.Add(brakeWindow))
		}, false},
		"failures within the window": {func(b *brake) {
			failMany(b, 9, brakeStart)
			b.failed(0, "another", brakeStart.Add(brakeWindow*9/10))
		}, true},
		"long after": {func(b *brake) {
			failMany(b, 9, brakeStart)
			failMany(b, 10, brakeStart.Add(time.Hour))
		}, true},
		"a clock that goes back": {func(b *brake) {
			failMany(b, 9, brakeStart)
			b.failed(0, "another", brakeStart.Add(-time.Hour))
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var b brake
			c.attempts(&b)
			require.Equal(t, c.braked, b.braked())
			require.Equal(t, c.braked, b.why != "")
			if !c.braked {
				require.Equal(t, math.MaxInt, b.room(brakeStart))
				require.Zero(t, b.wait(brakeStart))
			}
		})
	}
}

// The gaps between trials grow up to a minute, and begin anew once the shard has gone on.
func TestBrakeGapsGrow(t *testing.T) {
	var b brake
	now := brakeStart
	failMany(&b, brakeKeys, now)
	require.Equal(t, "10 of 10 events failed at their first attempt within 10s", b.why)
	for _, gap := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		require.Equal(t, gap*time.Second, b.wait(now))
		require.Zero(t, b.room(now.Add(gap*time.Second-1)))
		now = now.Add(gap * time.Second)
		require.Equal(t, trialAttempts, b.room(now))
		require.True(t, b.braked())
		term := b.begin(4)
		require.Equal(t, trialAttempts-4, b.room(now))
		for i := range 4 {
			b.failed(term, fmt.Sprint(i), now)
		}
		require.Zero(t, b.room(now), "four of sixteen are too many: more need not be known")
		require.Equal(t, "4 of 4 events of a trial failed", b.why)
	}
	now = now.Add(brakeGapMax)
	require.Equal(t, trialAttempts, b.room(now))
	term := b.begin(trialAttempts)
	require.Zero(t, b.room(now))
	require.Equal(t, brakeWindow, b.wait(now), "it waits for the trial's attempts")
	b.succeeded(term, trialAttempts-3, now)
	b.failed(term, "a", now)
	b.failed(term, "b", now)
	require.True(t, b.braked())
	b.failed(term, "c", now)
	require.False(t, b.braked(), "three of sixteen may fail")
	require.Equal(t, math.MaxInt, b.room(now))
	require.Empty(t, b.why)
	failMany(&b, brakeKeys, now)
	require.Equal(t, time.Second, b.wait(now))
}

// Attempts that began before the shard braked, or before a trial, tell nothing of the trial.
func TestBrakeForgetsEarlierAttempts(t *testing.T) {
	var b brake
	before := b.begin(20)
	failMany(&b, brakeKeys, brakeStart)
	b.failed(before, "late", brakeStart)
	b.succeeded(before, 19, brakeStart)
	now := brakeStart.Add(time.Second)
	require.Equal(t, trialAttempts, b.room(now))
	for i := range 10 {
		b.failed(before, fmt.Sprint(i), now)
	}
	b.succeeded(before, 100, now)
	require.Equal(t, trialAttempts, b.room(now))
	require.NotNil(t, b.trial)
}

// A trial whose attempts do not end, or for which few events come, is judged by those that have ended.
func TestBrakeTrialEnds(t *testing.T) {
	for name, c := range map[string]struct {
		succeeded, failed int
		braked            bool
	}{
		"no event came":       {0, 0, false},
		"a few succeeded":     {3, 0, false},
		"one in five failed":  {4, 1, false},
		"one of three failed": {2, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			var b brake
			failMany(&b, brakeKeys, brakeStart)
			now := brakeStart.Add(time.Second)
			require.Equal(t, trialAttempts, b.room(now))
			term := b.begin(trialAttempts)
			b.succeeded(term, c.succeeded, now)
			for range c.failed {
				b.failed(term, "k", now)
			}
			now = now.Add(brakeWindow - 1)
			require.True(t, b.braked())
			require.Zero(t, b.room(now))
			require.Equal(t, time.Duration(1), b.wait(now))
			b.room(now.Add(1))
			require.Equal(t, c.braked, b.braked())
		})
	}
}

// For any sequence of results a braked shard begins at most one trial's attempts in a gap, gaps stay within their bounds, and no attempt
// of an earlier term counts. The brake's words hold against a list of all attempts.
func TestBrakeAgainstAReference(t *testing.T) {
	type attempt struct {
		at     time.Time
		key    string
		failed bool
	}
	rapid.Check(t, func(t *rapid.T) {
		var b brake
		now := brakeStart
		var all []attempt // of the term at hand, while not braked
		slot := int64(brakeWindow / brakeSlots)
		for range rapid.IntRange(1, 300).Draw(t, "attempts") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "pass")))
			if room := b.room(now); room == 0 {
				require.True(t, b.braked())
				require.LessOrEqual(t, b.wait(now), brakeGapMax)
				now = now.Add(b.wait(now))
				require.Positive(t, b.room(now))
			} else if b.braked() {
				require.LessOrEqual(t, room, trialAttempts)
			}
			was := b.braked()
			a := attempt{now, fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "key")), rapid.IntRange(0, 2).Draw(t, "fails") == 0}
			term := b.begin(1)
			if a.failed {
				b.failed(term, a.key, now)
			} else {
				b.succeeded(term, 1, now)
			}
			if was {
				all = nil
				continue
			}
			all = append(all, a)
			failed, tried, keys := 0, 0, make(map[string]bool)
			for _, a := range all {
				if now.UnixNano()/slot-a.at.UnixNano()/slot < brakeSlots {
					tried++
					if a.failed {
						failed++
						keys[a.key] = true
					}
				}
			}
			require.Equal(t, a.failed && failed*5 > tried && len(keys) >= 10, b.braked())
		}
	})
}
