package pick

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var exponents = []float64{0.5, 0.99, 1, 1 + 1e-12, 1.2, 2, 10}

// chances returns the exact chance of every rank, by definition.
func chances(exponent float64, keys int) []float64 {
	out, sum := make([]float64, keys), 0.0
	for k := keys; k >= 1; k-- { // the small ones first
		out[k-1] = math.Pow(float64(k), -exponent)
		sum += out[k-1]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// Frequencies are compared rank by rank, and those of many ranks together as
// there are ever less events for each: no rank may be favoured, no tail thin.
func TestZipfPicksByTheExactChances(t *testing.T) {
	const events = 300_000
	for _, exponent := range exponents {
		for _, keys := range []int{1, 2, 3, 50, 100_000} {
			t.Run(fmt.Sprintf("exponent=%g/keys=%d", exponent, keys), func(t *testing.T) {
				d := Distribution{kind: kindZipf, exponent: exponent}
				counts := picks(mustNew(t, d, keys, 1), keys, events)
				exact := chances(exponent, keys)
				squares, cells := 0.0, 0
				for from := 0; from < keys; {
					chance, count, to := 0.0, 0, from
					for ; to < keys && (to == from || chance*events < 30 || to*10 < from*11); to++ {
						chance += exact[to]
						count += counts[to]
					}
					within(t, min(chance, 1), events, count, fmt.Sprintf("ranks %d to %d", from+1, to))
					if mean := chance * events; mean >= 30 {
						squares += (float64(count) - mean) * (float64(count) - mean) / mean
						cells++
					}
					from = to
				}
				// Pearson's sum: what all cells miss together.
				free := float64(cells - 1)
				require.LessOrEqual(t, squares, free+5*math.Sqrt(2*free)+5)
			})
		}
	}
}

// At the ends of what can be drawn, rounding must neither leave the range nor
// draw for ever.
func TestZipfAtItsEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		exponent := rapid.OneOf(rapid.SampledFrom(exponents), rapid.Float64Range(MinExponent, MaxExponent)).Draw(t, "exponent")
		keys := rapid.IntRange(1, 10_000_000).Draw(t, "keys")
		z := newZipf(draws{*rand.NewPCG(1, 0)}, exponent, keys)

		rank, ok := z.rank(z.last)
		require.True(t, ok && rank >= 1 && rank <= float64(keys), "%g", rank)
		rank, ok = z.rank(z.first)
		require.True(t, ok)
		require.EqualValues(t, 1, rank)
	})
}

// What the short cut accepts, the exact test accepts.
func TestZipfIsSureOnlyOfWhatIsTrue(t *testing.T) {
	for _, exponent := range exponents {
		z := newZipf(draws{*rand.NewPCG(1, 0)}, exponent, 1000)
		for rank := 2.0; rank <= 1000; rank++ {
			if z.at(rank) < 1e-6 {
				break // too thin for rounding to be told from a fault
			}
			begins := z.reach(z.area(rank+0.5) - z.at(rank))
			require.GreaterOrEqual(t, rank-begins, z.sure-1e-9, "exponent %g, rank %g", exponent, rank)
		}
	}
}

// A pick takes a constant time: hardly any point is drawn in vain.
func TestZipfSeldomDrawsTwice(t *testing.T) {
	for _, exponent := range exponents {
		for _, keys := range []int{2, 10, 1000, 10_000_000} {
			z := newZipf(draws{*rand.NewPCG(1, 0)}, exponent, keys)
			require.Less(t, (z.last-z.first)/powerSum(z.power, keys), 1.2, "exponent %g, %d keys", exponent, keys)
		}
	}
}

func TestPowerIsInverted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPower(rapid.Float64Range(MinExponent, 2).Draw(t, "exponent"))
		x := rapid.Float64Range(0.5, 10_000).Draw(t, "x")
		require.InEpsilon(t, x, p.reach(p.area(x)), 1e-9)
	})
}
