package search

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// However the first rate lies to what the system takes, the search ends soon, and
// within 5% below it.
func TestFindsTheHighestRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const highest = 100_000_000
		takes := rapid.Uint64Range(0, 2*highest).Draw(t, "takes")
		s := New(rapid.Uint64Range(1, highest).Draw(t, "first"), highest)
		trials := 0
		for rate, ok := s.Next(); ok; rate, ok = s.Next() {
			require.True(t, rate >= 1 && rate <= highest)
			s.Tried(rate <= takes)
			trials++
			require.Less(t, trials, 40)
		}
		best := s.Best()
		require.LessOrEqual(t, best, takes)
		if takes > 0 {
			require.Positive(t, best)
			require.GreaterOrEqual(t, float64(best)*1.05+1, float64(min(takes, highest)))
		}
	})
}

// Whatever it is told, it ends.
func TestEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New(rapid.Uint64Range(1, 1000).Draw(t, "first"), 100_000_000)
		for trials := 0; ; trials++ {
			if _, ok := s.Next(); !ok {
				return
			}
			require.Less(t, trials, 60)
			s.Tried(rapid.Bool().Draw(t, "held"))
		}
	})
}
