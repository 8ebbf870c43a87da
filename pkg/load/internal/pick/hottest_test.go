package pick

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHottest(t *testing.T) {
	for in, want := range map[string]float64{
		"uniform": 0.01, "sequential": 0.01,
		"hot:0.9:10": 0.09, "hot:0.1:50": 0.018, "hot:0.5:1": 0.5,
	} {
		require.InEpsilon(t, want, mustParse(t, in).Hottest(100), 1e-12, in)
	}
	for _, exponent := range exponents {
		for _, keys := range []int{1, 2, 999, 1000, 1001, 5000, 1_000_000} {
			d := Distribution{kind: kindZipf, exponent: exponent}
			require.InEpsilon(t, chances(exponent, keys)[0], d.Hottest(keys), 1e-11, "exponent %g, %d keys", exponent, keys)
		}
	}
}
