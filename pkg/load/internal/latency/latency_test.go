package latency

import (
	"bytes"
	"encoding/gob"
	"math/bits"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
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

func durations(t *rapid.T, name string) []time.Duration {
	return rapid.SliceOf(rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.OneOf(rapid.Int64Range(-1, int64(time.Second)), rapid.Int64Range(0, int64(2*time.Hour))).Draw(t, "ns"))
	})).Draw(t, name)
}

func recorded(h *Histogram, all []time.Duration) *Histogram {
	for _, d := range all {
		h.Record(d)
	}
	return h
}

func TestCurveRises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := durations(t, "durations")
		h := recorded(New(), all)
		curve := h.Curve()
		require.NotNil(t, curve, "a list in JSON, even if it is empty")
		if len(all) == 0 {
			require.Empty(t, curve)
			return
		}
		require.Zero(t, curve[0].Percentile)
		require.Equal(t, Step{100, h.Summary().Max}, curve[len(curve)-1])
		require.LessOrEqual(t, len(curve), 2+2*bits.Len(uint(len(all))))
		for i, s := range curve[1:] {
			require.Greater(t, s.Percentile, curve[i].Percentile)
			require.GreaterOrEqual(t, s.MS, curve[i].MS)
		}
	})
}

func TestQuantilesAreWithinThreeDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(1, 3_600_000_000), 1, 100).Draw(t, "us")
		h := New()
		for _, us := range all {
			h.Record(time.Duration(us) * time.Microsecond)
		}
		slices.Sort(all)
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		rank := min(max(int(q*float64(len(all))+0.5), 1), len(all))
		want := time.Duration(all[rank-1]) * time.Microsecond
		require.InEpsilon(t, want, h.Quantile(q), 0.001)
		require.LessOrEqual(t, h.Quantile(q), h.Quantile(1))
	})
}

func TestMergeIsRecordingAllInOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := durations(t, "a"), durations(t, "b")
		for name, make := range map[string]func() *Histogram{"fine": New, "coarse": NewCoarse} {
			merged := recorded(make(), a)
			merged.Merge(recorded(make(), b))
			one := recorded(recorded(make(), a), b)
			require.Equal(t, one.Curve(), merged.Curve(), name)
			require.Equal(t, one.Summary(), merged.Summary(), name)
			require.EqualValues(t, len(a)+len(b), merged.Count(), name)
			merged.Reset()
			require.Zero(t, merged.Summary(), name)
			require.Zero(t, merged.Count(), name)
		}
	})
}

func TestGobKeepsADistribution(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, h := range []*Histogram{recorded(New(), durations(t, "fine")), recorded(NewCoarse(), durations(t, "coarse"))} {
			var wire bytes.Buffer
			require.NoError(t, gob.NewEncoder(&wire).Encode(h))
			var again Histogram
			require.NoError(t, gob.NewDecoder(&wire).Decode(&again))
			require.Equal(t, h.Curve(), again.Curve())
			require.Equal(t, h.Summary(), again.Summary())
			again.Merge(h)
			require.Equal(t, 2*h.Count(), again.Count())
		}
	})
}

func TestGobOfNoDistributionIsRefused(t *testing.T) {
	require.Error(t, new(Histogram).GobDecode([]byte("nonsense")))
	var empty bytes.Buffer
	require.NoError(t, gob.NewEncoder(&empty).Encode(wire{}))
	require.ErrorContains(t, new(Histogram).GobDecode(empty.Bytes()), "without counts")
	h := New()
	h.Record(time.Second)
	s := h.hdr.Export()
	s.Counts[0] = -1
	var negative bytes.Buffer
	require.NoError(t, gob.NewEncoder(&negative).Encode(wire{HDR: s}))
	require.Error(t, new(Histogram).GobDecode(negative.Bytes()))
}

func BenchmarkRecord(b *testing.B) {
	h := New()
	b.ReportAllocs()
	for i := range b.N {
		h.Record(time.Duration(i%5_000_000) * time.Nanosecond)
	}
}
