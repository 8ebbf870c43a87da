package pick

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"uniform": "uniform", "sequential": "sequential",
		"zipf:0.5": "zipf:0.5", "zipf:1.0": "zipf:1", "zipf:10": "zipf:10",
		"hot:0.90:10": "hot:0.9:10", "hot:.5:1": "hot:0.5:1",
		"file:a:b c/d.txt": "file:a:b c/d.txt",
	} {
		d, err := Parse(in)
		require.NoError(t, err, in)
		require.Equal(t, want, d.String())
	}
	require.Equal(t, Uniform, mustParse(t, "uniform"))
}

func TestParseRefuses(t *testing.T) {
	const (
		name     = "is none of uniform, sequential, zipf:S (as in zipf:1.0), hot:P:N (as in hot:0.9:10) and file:PATH"
		exponent = "the exponent must be a number from 0.5 to 10, as in zipf:1.0"
		share    = "the hot keys' share must be a number above 0 and below 1, as in hot:0.9:10"
		count    = "the number of hot keys must be a whole number from 1, as in hot:0.9:10"
	)
	for in, says := range map[string]string{
		"": name, "normal": name, "Uniform": name, "uniform:": name, "sequential:1": name, "zipfian:1": name, "file": name, "file:": name,
		"zipf": exponent, "zipf:": exponent, "zipf:0.49": exponent, "zipf:10.1": exponent, "zipf:-1": exponent,
		"zipf:NaN": exponent, "zipf:Inf": exponent, "zipf:1:2": exponent, "zipf:1 ": exponent,
		"hot": share, "hot:0:1": share, "hot:1:1": share, "hot:NaN:1": share, "hot:many:1": share,
		"hot:0.9": count, "hot:0.9:0": count, "hot:0.9:-1": count, "hot:0.9:1.5": count, "hot:0.9:1:1": count,
	} {
		_, err := Parse(in)
		require.ErrorContains(t, err, says, in)
		require.ErrorContains(t, err, `distribution "`+in+`"`)
	}
}

func TestDistributionsCanBeReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, _ := anyDistribution(t)
		require.Equal(t, d, mustParse(t, d.String()))
		var read Distribution
		require.NoError(t, read.UnmarshalText([]byte(d.String())))
		require.Equal(t, d, read)
	})
}
