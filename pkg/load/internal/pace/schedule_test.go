package pace

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func mustParse(t require.TestingT, s string) Schedule {
	parsed, err := Parse(s)
	require.NoError(t, err)
	return parsed
}

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"max": "max", "1": "1", "020000": "20000",
		"ramp:1:100000000": "ramp:1:100000000", "ramp:5:5": "ramp:5:5",
		"steps:7": "steps:7", "steps:1,2,1": "steps:1,2,1",
		"sine:10:10:60s": "sine:10:10:1m", "sine:10:1:3600s": "sine:10:1:1h", "sine:10:1:90s": "sine:10:1:1m30s",
		"sine:10:1:1ms": "sine:10:1:1ms", "sine:10:1:1h30m": "sine:10:1:1h30m", "sine:10:1:10m0.5s": "sine:10:1:10m0.5s",
		"spike:1000:20000:30s:5s": "spike:1000:20000:30s:5s", "spike:9:1:100h:1h0m10s": "spike:9:1:100h:1h0m10s",
	} {
		require.Equal(t, want, mustParse(t, in).String(), in)
	}
	var zero Schedule
	require.Equal(t, "max", zero.String())
	require.True(t, zero.Max())
	require.False(t, mustParse(t, "1").Max())
}

func TestParseRefuses(t *testing.T) {
	const none = "is none of max, a whole number of events per second from 1 to 100000000, ramp:FROM:TO, steps:R1,R2,R3..., sine:MEAN:AMPLITUDE:PERIOD and spike:BASE:PEAK:AT:FOR"
	rate := func(what, is string) string {
		return fmt.Sprintf("%s must be a whole number of events per second from 1 to 100000000, not %q, as in ", what, is)
	}
	duration := func(what, is string) string {
		return fmt.Sprintf("%s must be a duration from 1ms to 100h, not %q, as in ", what, is)
	}
	for in, says := range map[string]string{
		"": none, "fast": none, "Max": none, "max:1": none, "-1": none, "1e3": none, "1.5": none, "linear:1:2": none,
		"99999999999999999999": none,
		"0":                    "must be from 1 to 100000000 events per second", "100000001": "must be from 1 to 100000000 events per second",
		"ramp": "it needs FROM:TO, as in ramp:1000:50000", "ramp:1": "it needs FROM:TO", "ramp:1:2:3": "it needs FROM:TO",
		"ramp:0:1": rate("FROM", "0"), "ramp:1:100000001": rate("TO", "100000001"), "ramp:1:": rate("TO", ""),
		"steps": rate("step 1", ""), "steps:": rate("step 1", ""), "steps:1,0": rate("step 2", "0"), "steps:1,": rate("step 2", ""), "steps:1:2": rate("step 1", "1:2"),
		"steps:1" + strings.Repeat(",1", 1000): "there must be at most 1000 steps, not 1001",
		"sine:1:1":                             "it needs MEAN:AMPLITUDE:PERIOD",
		"sine:10:11:1s":                        "AMPLITUDE must be at most MEAN, 10, not 11, as in sine:10000:5000:30s",
		"sine:10:0:1s":                         rate("AMPLITUDE", "0"),
		"sine:10:1:0s":                         duration("PERIOD", "0s"), "sine:10:1:30": duration("PERIOD", "30"), "sine:10:1:-1s": duration("PERIOD", "-1s"),
		"sine:10:1:999us": duration("PERIOD", "999us"), "sine:10:1:101h": duration("PERIOD", "101h"),
		"spike:1:2:3s": "it needs BASE:PEAK:AT:FOR", "spike:1:x:1s:1s": rate("PEAK", "x"),
		"spike:1:2:0s:1s": duration("AT", "0s"), "spike:1:2:1s:": duration("FOR", ""),
	} {
		_, err := Parse(in)
		require.ErrorContains(t, err, says, in)
		require.ErrorContains(t, err, fmt.Sprintf("rate %q", in))
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"max", "1", "ramp:1:2", "steps:1,2,3", "sine:10:5:30s", "spike:1:2:3s:1h4s", "sine:1:1:99h59m59.999999999s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s, err := Parse(in)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		again, err := Parse(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
		if p, err := s.Over(time.Hour, time.Second); err == nil {
			require.Zero(t, p.Intended(0))
			require.LessOrEqual(t, p.Intended(1), time.Duration(math.MaxInt64))
		}
	})
}

func TestPeak(t *testing.T) {
	require.True(t, math.IsInf(Schedule{}.Peak(), 1))
	for in, want := range map[string]float64{
		"7": 7, "ramp:1:9": 9, "ramp:9:1": 9, "steps:1,5,2": 5, "sine:10:4:1s": 14, "spike:1:9:1s:1s": 9, "spike:9:1:1s:1s": 9,
	} {
		require.Equal(t, want, mustParse(t, in).Peak(), in)
	}
}

// anySchedule draws a schedule other than max, a duration and a warm-up that it
// can be had over.
func anySchedule(t *rapid.T, mostRate uint64, longest time.Duration) (s Schedule, duration, warmUp time.Duration) {
	rate := rapid.OneOf(rapid.Uint64Range(1, min(20, mostRate)), rapid.Uint64Range(1, mostRate))
	duration = time.Duration(rapid.Int64Range(int64(2*minDuration), int64(longest)).Draw(t, "duration"))
	if rapid.Bool().Draw(t, "warm") {
		warmUp = time.Duration(rapid.Int64Range(0, int64(longest)).Draw(t, "warm-up"))
	}
	s.kind = kind(rapid.IntRange(int(kindConstant), int(kindSpike)).Draw(t, "kind"))
	switch s.kind {
	case kindConstant:
		s.rates = []uint64{rate.Draw(t, "rate")}
	case kindSteps:
		s.rates = rapid.SliceOfN(rate, 1, 20).Draw(t, "steps")
	case kindSine:
		mean := rate.Draw(t, "mean")
		amplitude := rapid.OneOf(rapid.Just(mean), rapid.Uint64Range(1, mean)).Draw(t, "amplitude")
		s.rates = []uint64{mean, amplitude}
		s.times = []time.Duration{time.Duration(rapid.Int64Range(int64(minDuration), int64(2*duration)).Draw(t, "period"))}
		s.times[0] = min(s.times[0], maxDuration)
	case kindRamp:
		s.rates = []uint64{rate.Draw(t, "from"), rate.Draw(t, "to")}
	case kindSpike:
		s.rates = []uint64{rate.Draw(t, "base"), rate.Draw(t, "peak")}
		at := time.Duration(rapid.Int64Range(int64(minDuration), int64(duration-minDuration)).Draw(t, "at"))
		length := time.Duration(rapid.Int64Range(int64(minDuration), int64(duration-at)).Draw(t, "for"))
		s.times = []time.Duration{at, length}
	}
	return s, duration, warmUp
}

func TestSchedulesCanBeReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, _, _ := anySchedule(t, MaxRate, 50*time.Hour)
		var read Schedule
		require.NoError(t, read.UnmarshalText([]byte(s.String())))
		require.Equal(t, s, read)
	})
}
