package pace

import (
	"math"
	"math/bits"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func mustOver(t require.TestingT, s Schedule, duration, warmUp time.Duration) Pacer {
	p, err := s.Over(duration, warmUp)
	require.NoError(t, err)
	return p
}

func TestOverRefuses(t *testing.T) {
	for _, c := range []struct {
		schedule         string
		duration, warmUp time.Duration
		says             string
	}{
		{"max", time.Second, 0, "rate max sends as fast as events are acknowledged, so it has no times to keep to: set a number of events per second"},
		{"1", -1, 0, "duration must be from 0 (no limit) to 100h, not -1ns"},
		{"1", 100*time.Hour + 1, 0, "duration must be from 0 (no limit) to 100h, not 100h0m0.000000001s"},
		{"1", time.Second, -time.Second, "warm-up must be from 0 to 100h, not -1s"},
		{"1", time.Second, 101 * time.Hour, "warm-up must be from 0 to 100h, not 101h"},
		{"ramp:1:2", 0, time.Second, "rate ramp:1:2 is spread over the load's duration, which has no limit: set a duration"},
		{"steps:1,2", 0, 0, "rate steps:1,2 is spread over the load's duration, which has no limit: set a duration"},
		{"spike:1:2:30s:10s", 40*time.Second - 1, time.Minute, "rate spike:1:2:30s:10s: the spike ends at 40s, after the load does at 39.999999999s: set a longer duration or an earlier spike"},
	} {
		_, err := mustParse(t, c.schedule).Over(c.duration, c.warmUp)
		require.EqualError(t, err, c.says)
	}
	for _, s := range []string{"5", "sine:1:1:1s", "spike:1:2:30s:10s"} {
		mustOver(t, mustParse(t, s), 0, 0)
	}
	mustOver(t, mustParse(t, "spike:1:2:30s:10s"), 40*time.Second, 0)
}

// total is the rate of a schedule added up until d, by definition and apart from
// the code under test.
func total(s Schedule, duration, warmUp, d time.Duration) float64 {
	rate := func(i int) float64 { return float64(s.rates[i%len(s.rates)]) }
	events := min(d, warmUp).Seconds() * rate(0)
	if d -= warmUp; d <= 0 {
		return events
	}
	t, span := d.Seconds(), duration.Seconds()
	beyond := max(t-span, 0) // past the duration
	t = min(t, span)
	switch s.kind {
	case kindRamp:
		return events + t*rate(0) + (rate(1)-rate(0))/span*t*t/2 + beyond*rate(1)
	case kindSteps:
		for i := range s.rates {
			from, to := part(duration, i, len(s.rates)).Seconds(), part(duration, i+1, len(s.rates)).Seconds()
			events += max(min(t, to)-from, 0) * rate(i)
		}
		return events + beyond*rate(len(s.rates)-1)
	case kindSine:
		turn := 2 * math.Pi / s.times[0].Seconds()
		return events + rate(0)*d.Seconds() + rate(1)/turn*(1-math.Cos(turn*d.Seconds()))
	case kindSpike:
		at, end := s.times[0].Seconds(), (s.times[0] + s.times[1]).Seconds()
		return events + d.Seconds()*rate(0) + max(min(d.Seconds(), end)-at, 0)*(rate(1)-rate(0))
	default:
		return events + d.Seconds()*rate(0)
	}
}

// Between any two times as many events are due as the rate adds up to, whether the
// load is young or old.
func TestPacerNeverDrifts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, duration, warmUp := anySchedule(t, 1_000_000, time.Hour)
		p := mustOver(t, s, duration, warmUp)
		moment := rapid.Int64Range(0, int64(warmUp+duration+time.Minute))
		for range 10 {
			from := time.Duration(moment.Draw(t, "from"))
			to := from + time.Duration(rapid.OneOf(rapid.Int64Range(0, int64(time.Second)), moment).Draw(t, "length"))
			want := total(s, duration, warmUp, to) - total(s, duration, warmUp, from)
			require.InDelta(t, want, float64(p.Events(to)-p.Events(from)), 1.001, "%s from %s to %s", s, from, to)
		}
	})
}

// checkEvent requires that event k is due after the one before, and counted from
// right after it is due.
func checkEvent(t require.TestingT, p Pacer, k uint64) {
	due := p.Intended(k)
	require.GreaterOrEqual(t, due, time.Duration(0))
	if due < forever {
		require.Greater(t, p.Intended(k+1), due, "event %d", k)
		require.Equal(t, k, p.Events(due), "event %d is due at %s", k, due)
		require.Equal(t, k+1, p.Events(due+1), "event %d is due at %s", k, due)
	}
}

func TestEventsCountsWhatIsIntended(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, duration, warmUp := anySchedule(t, MaxRate, 100*time.Hour)
		p := mustOver(t, s, duration, warmUp)
		require.Zero(t, p.Intended(0))
		all := p.Events(warmUp + duration)
		for range 10 {
			k := rapid.OneOf(
				rapid.Uint64Range(0, 1000),
				rapid.Uint64Range(0, all+1000),
				rapid.Map(rapid.Uint64Range(0, 20), func(back uint64) uint64 { return max(all, 10) + 10 - back }),
			).Draw(t, "k")
			checkEvent(t, p, k)
		}
		for _, s := range p.stretches { // where one curve follows another
			for k := max(s.first, 3) - 3; k < s.first+3; k++ {
				checkEvent(t, p, k)
			}
		}
		d := time.Duration(rapid.Int64Range(0, int64(warmUp+duration)).Draw(t, "d"))
		n := p.Events(d)
		require.GreaterOrEqual(t, p.Intended(n), d)
		require.True(t, n == 0 || p.Intended(n-1) < d)
		estimate, _ := p.during(d).next(d)
		require.InDelta(t, n, estimate, 1, "so that Events need not search")
	})
}

func TestRateIsTheSlopeOfWhatIsDue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, duration, warmUp := anySchedule(t, 100_000, time.Hour)
		p := mustOver(t, s, duration, warmUp)
		d := time.Duration(rapid.Int64Range(0, int64(warmUp+duration)).Draw(t, "d"))
		rate := p.Rate(d)
		require.LessOrEqual(t, rate, s.Peak()*(1+1e-12))
		require.GreaterOrEqual(t, rate, 0.0)
		const moment = 10 * time.Microsecond
		for _, st := range p.stretches {
			if d < st.start && d+moment > st.start {
				return // the rate jumps
			}
		}
		later := p.Rate(d + moment)
		got := (total(s, duration, warmUp, d+moment) - total(s, duration, warmUp, d)) / moment.Seconds()
		require.InDelta(t, (rate+later)/2, got, 1+s.Peak()*0.02)
	})
}

func TestConstantIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Uint64Range(1, MaxRate).Draw(t, "rate")
		s := Schedule{kind: kindConstant, rates: []uint64{rate}}
		p := mustOver(t, s, 0, time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "warm-up")))
		k := rapid.Uint64Range(0, rate<<23).Draw(t, "k")
		hi, lo := bits.Mul64(k, uint64(time.Second))
		due, _ := bits.Div64(hi, lo, rate)
		require.Equal(t, time.Duration(due), p.Intended(k), "a warm-up at the same rate changes nothing")
		second := rapid.Uint64Range(0, 360_000).Draw(t, "second")
		require.Equal(t, time.Duration(second)*time.Second, p.Intended(rate*second))
		require.Equal(t, rate*second, p.Events(time.Duration(second)*time.Second))
	})
}

func TestStretchesMeet(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, c := range []struct {
		schedule         string
		duration, warmUp time.Duration
		due              map[uint64]time.Duration
		rates            map[time.Duration]float64
	}{
		{"steps:1,10,100", 3 * s, 0,
			map[uint64]time.Duration{0: 0, 1: s, 2: 1100 * ms, 11: 2 * s, 12: 2010 * ms, 111: 3 * s, 211: 4 * s},
			map[time.Duration]float64{0: 1, s - 1: 1, s: 10, 2*s - 1: 10, 2 * s: 100, time.Hour: 100}},
		{"steps:1,10", s, 0, // half an event is due when the second step begins
			map[uint64]time.Duration{0: 0, 1: 550 * ms, 2: 650 * ms}, nil},
		{"spike:10:100:1s:500ms", 3 * s, 0,
			map[uint64]time.Duration{9: 900 * ms, 10: s, 11: 1010 * ms, 60: 1500 * ms, 61: 1600 * ms, 75: 3 * s},
			map[time.Duration]float64{-1: 10, s - 1: 10, s: 100, 1500*ms - 1: 100, 1500 * ms: 10}},
		{"spike:10:100:1s:500ms", 3 * s, 2 * s,
			map[uint64]time.Duration{29: 2900 * ms, 30: 3 * s, 31: 3010 * ms, 80: 3500 * ms, 81: 3600 * ms},
			map[time.Duration]float64{3*s - 1: 10, 3 * s: 100, 3500 * ms: 10}},
		{"ramp:10:30", 2 * s, s, // 10, then 10t+5t^2
			map[uint64]time.Duration{5: 500 * ms, 10: s, 25: 2 * s, 50: 3 * s, 80: 4 * s},
			map[time.Duration]float64{0: 10, s: 10, 2 * s: 20, 3 * s: 30, 4 * s: 30}},
		{"ramp:30:10", 2 * s, 0,
			map[uint64]time.Duration{0: 0, 25: s, 40: 2 * s, 50: 3 * s}, map[time.Duration]float64{s: 20}},
		{"sine:1000:1000:4s", 8 * s, s,
			map[uint64]time.Duration{1000: s, 5000: 5 * s, 9000: 9 * s, 13000: 13 * s},
			map[time.Duration]float64{0: 1000, s: 1000, 2 * s: 2000, 3 * s: 1000, 4 * s: 0, 5 * s: 1000}},
	} {
		p := mustOver(t, mustParse(t, c.schedule), c.duration, c.warmUp)
		for k, due := range c.due {
			require.InDelta(t, due, p.Intended(k), 1, "%s: event %d", c.schedule, k)
		}
		for d, rate := range c.rates {
			require.InDelta(t, rate, p.Rate(d), 1e-6, "%s at %s", c.schedule, d)
		}
	}
}

func TestPacerBeyondWhatADurationHolds(t *testing.T) {
	for _, in := range []string{"1", "100000000", "ramp:1:100000000", "ramp:100000000:1", "steps:1,100000000", "sine:1:1:1ms", "sine:100000000:1:100h", "spike:1:100000000:1s:1s"} {
		p := mustOver(t, mustParse(t, in), 100*time.Hour, 100*time.Hour)
		before := time.Duration(0)
		for shift := range 64 {
			due := p.Intended(1 << shift)
			require.GreaterOrEqual(t, due, before, "%s: event 1<<%d", in, shift)
			before = due
		}
		require.Equal(t, p.Intended(math.MaxUint64), max(before, p.Intended(math.MaxUint64)))
		require.Zero(t, p.Events(-1), in)
		require.Zero(t, p.Events(0), in)
		require.EqualValues(t, 1, p.Events(1), in)
	}
	require.Equal(t, forever, mustOver(t, mustParse(t, "1"), 0, time.Hour).Intended(1<<63))
	require.Equal(t, forever, mustOver(t, mustParse(t, "sine:1:1:1ms"), 0, 0).Intended(1<<63))
}

func TestPacerAllocatesNothing(t *testing.T) {
	for _, in := range benchmarked {
		p := mustOver(t, mustParse(t, in), time.Minute, time.Second)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			p.Events(p.Intended(1_000_003))
			p.Rate(time.Second)
		}), in)
	}
}

var benchmarked = []string{"500000", "steps:100000,300000,500000", "spike:100000:500000:20s:10s", "ramp:1000:500000", "sine:300000:200000:10s", "sine:300000:300000:1m"}

func BenchmarkIntended(b *testing.B) {
	for _, in := range benchmarked {
		b.Run(in, func(b *testing.B) {
			p := mustOver(b, mustParse(b, in), time.Minute, time.Second)
			all := p.Events(time.Minute)
			b.ReportAllocs()
			k := uint64(0)
			for b.Loop() {
				p.Intended(k)
				if k++; k == all {
					k = 0
				}
			}
		})
	}
}
