package latency

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSummary(t *testing.T) {
	h := New()
	require.Zero(t, h.Summary())
	for ms := 1; ms <= 1000; ms++ {
		h.Record(time.Duration(ms) * time.Millisecond)
	}
	s := h.Summary()
	require.InEpsilon(t, 500, s.P50, 0.002)
	require.InEpsilon(t, 900, s.P90, 0.002)
	require.InEpsilon(t, 990, s.P99, 0.002)
	require.InEpsilon(t, 999, s.P999, 0.002)
	require.Equal(t, 1000.0, s.Max)
	require.EqualValues(t, 1000, h.Count())
}

func TestNothingIsDropped(t *testing.T) {
	h := New()
	h.Record(-time.Second)
	h.Record(0)
	h.Record(3 * time.Hour)
	require.EqualValues(t, 3, h.Count())
	require.Equal(t, float64(3*time.Hour/time.Millisecond), h.Summary().Max)
}

func BenchmarkRecord(b *testing.B) {
	h := New()
	b.ReportAllocs()
	for i := range b.N {
		h.Record(time.Duration(i%5_000_000) * time.Nanosecond)
	}
}
