package pick

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func mustParse(t require.TestingT, s string) Distribution {
	d, err := Parse(s)
	require.NoError(t, err)
	return d
}

func mustNew(t require.TestingT, d Distribution, keys int, seed uint64) Picker {
	p, err := New(d, keys, seed)
	require.NoError(t, err)
	return p
}

// anyDistribution draws a distribution and a number of keys that it can be had of.
func anyDistribution(t *rapid.T) (d Distribution, keys int) {
	keys = rapid.OneOf(rapid.IntRange(1, 20), rapid.IntRange(1, 10_000_000)).Draw(t, "keys")
	kinds := []kind{kindUniform, kindSequential, kindZipf}
	if keys > 1 {
		kinds = append(kinds, kindHot)
	}
	d.kind = rapid.SampledFrom(kinds).Draw(t, "kind")
	switch d.kind {
	case kindZipf:
		d.exponent = rapid.Float64Range(MinExponent, MaxExponent).Draw(t, "exponent")
	case kindHot:
		d.share = rapid.Float64Range(1e-9, 1-1e-9).Draw(t, "share")
		d.hot = rapid.IntRange(1, keys-1).Draw(t, "hot")
	}
	return d, keys
}

func TestPicksAreInRangeAndDecidedByTheSeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, keys := anyDistribution(t)
		seed := rapid.Uint64().Draw(t, "seed")
		one, two := mustNew(t, d, keys, seed), mustNew(t, d, keys, seed)
		for range 300 {
			key := one.Next()
			require.True(t, key >= 0 && key < keys, "%d of %d", key, keys)
			require.Equal(t, key, two.Next())
		}
	})
}

func TestSeedsPickDifferently(t *testing.T) {
	for _, s := range []string{"uniform", "zipf:1", "hot:0.5:10"} {
		one, two := mustNew(t, mustParse(t, s), 1000, 1), mustNew(t, mustParse(t, s), 1000, 2)
		same := 0
		for range 1000 {
			if one.Next() == two.Next() {
				same++
			}
		}
		require.Less(t, same, 200, s)
	}
}

func TestSequentialPicksAllKeysInTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.IntRange(1, 500).Draw(t, "keys")
		p := mustNew(t, mustParse(t, "sequential"), keys, rapid.Uint64().Draw(t, "seed"))
		for n := range 3 * keys {
			require.Equal(t, n%keys, p.Next())
		}
	})
}

// within requires a count of events, each with the same chance, to lie within
// seven standard deviations of what is expected: a correct one fails once in
// some 10^11 times.
func within(t require.TestingT, chance float64, events, got int, what string) {
	mean := chance * float64(events)
	require.InDelta(t, mean, got, 7*math.Sqrt(mean*(1-chance))+7, what)
}

func TestUniformIsUniform(t *testing.T) {
	const keys, events = 7, 100_000
	counts := picks(mustNew(t, Uniform, keys, 1), keys, events)
	for key, n := range counts {
		within(t, 1.0/keys, events, n, fmt.Sprint("key ", key))
	}
}

func TestHotKeysGetTheirShare(t *testing.T) {
	const events = 20_000
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(0.01, 0.99).Draw(t, "share")
		hot := rapid.IntRange(1, 20).Draw(t, "hot")
		keys := hot + rapid.IntRange(1, 20).Draw(t, "rest")
		d := mustParse(t, fmt.Sprintf("hot:%g:%d", share, hot))
		counts := picks(mustNew(t, d, keys, rapid.Uint64().Draw(t, "seed")), keys, events)
		all := 0
		for key, n := range counts {
			chance := share / float64(hot)
			if key < hot {
				all += n
			} else {
				chance = (1 - share) / float64(keys-hot)
			}
			within(t, chance, events, n, fmt.Sprint("key ", key))
		}
		within(t, share, events, all, "all hot keys")
	})
}

// picks counts how often each key is picked.
func picks(p Picker, keys, events int) []int {
	counts := make([]int, keys)
	for range events {
		counts[p.Next()]++
	}
	return counts
}

func TestPicksAllocateNothing(t *testing.T) {
	for _, s := range []string{"uniform", "sequential", "zipf:0.99", "zipf:1", "hot:0.9:10"} {
		p := mustNew(t, mustParse(t, s), 1000, 1)
		require.Zero(t, testing.AllocsPerRun(1000, func() { p.Next() }), s)
	}
}

func TestTooFewKeys(t *testing.T) {
	_, err := New(Uniform, 0, 1)
	require.EqualError(t, err, "keys must be at least 1, not 0")
	_, err = New(mustParse(t, "hot:0.9:10"), 10, 1)
	require.EqualError(t, err, "distribution hot:0.9:10 leaves no key for the other events: it needs at least 11 keys, not 10")
	_, err = New(mustParse(t, "hot:0.9:10"), 11, 1)
	require.NoError(t, err)
}

func BenchmarkPick(b *testing.B) {
	for _, c := range []struct{ name, distribution string }{
		{"uniform", "uniform"},
		{"sequential", "sequential"},
		{"zipf", "zipf:1"},
		{"zipf/exponent=0.5", "zipf:0.5"},
		{"zipf/exponent=2", "zipf:2"},
		{"hot", "hot:0.9:10"},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := mustNew(b, mustParse(b, c.distribution), 1_000_000, 1)
			b.ReportAllocs()
			for b.Loop() {
				p.Next()
			}
		})
	}
}
