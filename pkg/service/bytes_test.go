package service

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{
		"0": 0, "1": 1, "4096": 4096, "64MiB": 64 << 20, "64MB": 64 << 20, "1.5GiB": 1536 << 20, "1KiB": 1024, "7B": 7, "4TiB": 4 << 40,
	} {
		var b Bytes
		require.NoError(t, b.UnmarshalText([]byte(text)), text)
		require.Equal(t, want, b, text)
	}
	for text, want := range map[string]string{
		"":           `"" is not a size: want one like 64MiB or 1.5GiB`,
		"1 GiB":      `"1 GiB" is not a size`,
		"5x":         `"5x" is not a size`,
		"MiB":        `"MiB" is not a size`,
		"-1":         "-1 is out of range: want a size from 0 up, like 64MiB",
		"-1MiB":      "-1MiB is out of range",
		"nan":        "nan is out of range",
		"inf":        "inf is out of range",
		"9000000TiB": "9000000TiB is out of range",
	} {
		var b Bytes
		require.ErrorContains(t, b.UnmarshalText([]byte(text)), want, text)
	}
}

func TestBytesAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Bytes(rapid.Int64Range(0, math.MaxInt64>>11).Draw(t, "bytes")) // above, a float64 has gaps
		var got Bytes
		require.NoError(t, got.UnmarshalText([]byte(want.String())))
		require.Equal(t, want, got)
	})
}
