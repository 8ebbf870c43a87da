package measure

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// moments of a load, from one too early to a day.
var moments = rapid.OneOf(
	rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(-int64(time.Second), int64(time.Minute)).Draw(t, "ns"))
	}),
	rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(0, 24*3600).Draw(t, "s")) * time.Second
	}),
)

type sentSeries = Series[Sent, *Sent]

// recorded is a series of one event at each moment, as late as its number in ms.
func recorded(at []time.Duration) *sentSeries {
	s := &sentSeries{}
	for i, t := range at {
		s.At(t).Add(&Sent{Events: 1, MaxLag: time.Duration(i) * time.Millisecond})
	}
	return s
}

// counted is what a series has, and where it must be.
func counted(t require.TestingT, s *sentSeries, at []time.Duration) {
	require.LessOrEqual(t, len(s.Points), maxPoints)
	want := make([]Sent, len(s.Points))
	for i, moment := range at {
		p := int(max(moment, 0) / s.Interval)
		require.Less(t, p, len(want), "a moment lies beyond the series")
		want[p].Add(&Sent{Events: 1, MaxLag: time.Duration(i) * time.Millisecond})
	}
	for i, p := range s.Points {
		require.Equal(t, want[i], p, "point %d", i)
	}
}

func TestSeriesKeepsEveryCountInItsPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.SliceOfN(moments, 1, 100).Draw(t, "at")
		s := recorded(at)
		counted(t, s, at)
		s.Coarsen(s.Interval * 3)
		counted(t, s, at)
	})
}

func TestSeriesOfDifferentIntervalsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOfN(moments, 0, 50).Draw(t, "a"), rapid.SliceOfN(moments, 0, 50).Draw(t, "b")
		sum, other := recorded(a), recorded(b)
		sum.Add(other)
		require.LessOrEqual(t, len(sum.Points), maxPoints)
		all := recorded(append(append([]time.Duration{}, a...), b...))
		var got, want uint64
		for _, p := range sum.Points {
			got += p.Events
		}
		for _, p := range all.Points {
			want += p.Events
		}
		require.Equal(t, want, got)
		require.Equal(t, all.Interval, sum.Interval, "as fine as if all had been recorded in one")
		require.Len(t, sum.Points, len(all.Points))
		for i := range all.Points {
			require.Equal(t, all.Points[i].Events, sum.Points[i].Events)
		}
	})
}

func TestEmptySeriesAdd(t *testing.T) {
	var a, b sentSeries
	a.Add(&b)
	require.Empty(t, a.Points)
	b.At(time.Hour).Events++
	a.Add(&b)
	require.Equal(t, b, a)
	a.Add(&sentSeries{})
	require.Equal(t, b, a)
}

func TestWaitsSurviveCoarsening(t *testing.T) {
	var s Series[Applied, *Applied]
	for i := range 1000 {
		p := s.At(time.Duration(i) * time.Second)
		p.Receipts++
		if i%2 == 0 {
			p.Wait(time.Duration(i) * time.Millisecond)
		}
	}
	var receipts uint64
	var waits int64
	longest := 0.0
	for _, p := range s.Points {
		receipts += p.Receipts
		if p.Waits != nil {
			waits += p.Waits.Count()
			longest = max(longest, p.Waits.Summary().Max)
		}
	}
	require.EqualValues(t, 1000, receipts)
	require.EqualValues(t, 500, waits)
	require.Equal(t, 998.0, longest)
}

func BenchmarkAt(b *testing.B) {
	var s sentSeries
	b.ReportAllocs()
	for i := range b.N {
		s.At(time.Duration(i)*time.Microsecond).Events++
	}
}
