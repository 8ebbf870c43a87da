package pace

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

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
