package pace

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseRate(t *testing.T) {
	for in, want := range map[string]Rate{"max": Max, "1": 1, "20000": 20000} {
		got, err := ParseRate(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
		require.Equal(t, in, got.String())
	}
	for _, in := range []string{"", "0", "-1", "fast", "1e3", "1.5", "100000001", "99999999999999999999"} {
		_, err := ParseRate(in)
		require.ErrorContains(t, err, "rate", in)
	}
}

func TestIntendedNeverDrifts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rate(rapid.Uint64Range(1, MaxRate).Draw(t, "rate"))
		k := rapid.Uint64Range(0, 1<<40).Draw(t, "k")
		second := rapid.Uint64Range(0, 1_000_000).Draw(t, "second")

		if uint64(r)*second <= 1<<62 {
			require.Equal(t, time.Duration(second)*time.Second, r.Intended(uint64(r)*second))
		}
		require.GreaterOrEqual(t, r.Intended(k+1), r.Intended(k))
		gap := float64(time.Second) / float64(r)
		if r.Intended(k+1) < 1<<62 {
			require.InDelta(t, gap, float64(r.Intended(k+1)-r.Intended(k)), 1)
		}
	})
	require.Equal(t, time.Duration(0), Rate(7).Intended(0))
	require.Equal(t, time.Duration(1<<63-1), Rate(1).Intended(1<<63), "beyond what a duration holds")
}

func TestParseShare(t *testing.T) {
	for in, want := range map[string]Share{"0": 0, "1": 1, "1/16": 1.0 / 16, "0.25": 0.25, "3/4": 0.75} {
		got, err := ParseShare(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
	}
	for _, in := range []string{"", "2", "-1", "1/0", "0/0", "NaN", "a/b", "3/2", "1/2/3", "some"} {
		_, err := ParseShare(in)
		require.Error(t, err, in)
	}
}

func TestSamplerPicksItsShareEvenly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(0, 1).Draw(t, "share")
		s := NewSampler(Share(share))
		picked := 0
		for n := 1; n <= 1000; n++ {
			if s.Pick() {
				picked++
			}
			require.InDelta(t, share*float64(n), picked, 1.001)
		}
	})
	all, none := NewSampler(1), NewSampler(0)
	for range 1000 {
		require.True(t, all.Pick())
		require.False(t, none.Pick())
	}
	sixteenth := NewSampler(1.0 / 16)
	require.True(t, sixteenth.Pick(), "the first event is picked")
}
