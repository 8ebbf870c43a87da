package threshold

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/load/internal/latency"
	"example.com/lockstep/pkg/load/internal/report"
)

func sample() report.Report {
	return report.Report{
		Verdict: report.Pass, Sent: 100, Acked: 99, Failed: 1, Unfinished: 7, AppliedPerSecond: 20_000,
		LatencyMS: report.Latency{Apply: latency.Summary{P50: 1.5, P99: 50, P999: 80, Max: 1000}},
		CurveMS:   report.Curves{Ack: []latency.Step{{}}, Apply: []latency.Step{{}}},
	}
}

func TestHold(t *testing.T) {
	for text, want := range map[string]struct {
		held  bool
		value float64
	}{
		"apply.p99<50ms":      {false, 50},
		"apply.p99<=50ms":     {true, 50},
		" apply.p99 < 51ms ":  {true, 50},
		"apply.p999<0.08s":    {false, 80},
		"apply.max>=1s":       {true, 1000},
		"apply.p50==1.5ms":    {true, 1.5},
		"ack.p50<1ms":         {true, 0},
		"failed==0":           {false, 1},
		"failed!=0":           {true, 1},
		"failed<=1":           {true, 1},
		"applied.rate>=2e4":   {true, 20_000},
		"applied.rate>20000":  {false, 20_000},
		"unfinished==0":       {false, 7},
		"drained.rate>0":      {false, 0},
		"drained.rate!=1":     {false, 0},
		"schedule.max<1000ms": {true, 0},
	} {
		threshold, err := Parse(text)
		require.NoError(t, err, text)
		r := sample()
		Hold(&r, []Threshold{threshold})
		require.Len(t, r.Thresholds, 1)
		require.Equal(t, want.held, r.Thresholds[0].Held, text)
		require.Equal(t, want.value, r.Thresholds[0].Value, text)
		require.Equal(t, threshold.String(), r.Thresholds[0].Threshold)
		if want.held {
			require.Equal(t, report.Pass, r.Verdict)
		} else {
			require.Equal(t, report.Crossed, r.Verdict)
		}
	}
}

func TestAThresholdNeverHidesAViolation(t *testing.T) {
	crossed, err := Parse("failed==0")
	require.NoError(t, err)
	for _, verdict := range []string{report.Fail, report.Unfinished} {
		r := sample()
		r.Verdict = verdict
		Hold(&r, []Threshold{crossed})
		require.Equal(t, verdict, r.Verdict)
	}
}

func TestNothingMeasuredHoldsNoLatency(t *testing.T) {
	for _, text := range []string{"apply.p99<50ms", "ack.p50<1h", "schedule.max<1h", "apply.p99!=1s"} {
		r := report.Report{Verdict: report.Pass}
		low, err := Parse(text)
		require.NoError(t, err)
		Hold(&r, []Threshold{low})
		require.False(t, r.Thresholds[0].Held, text)
	}
}

func TestRefused(t *testing.T) {
	for text, says := range map[string]string{
		"":                 "has none of <= >= == != < >",
		"apply.p99":        "has none of",
		"apply.p99=50ms":   "compares by none of",
		"p99<50ms":         `there is no metric "p99": want one of sent, acked`,
		"<50ms":            `there is no metric ""`,
		"apply.p99<50":     `held against a duration like 50ms, not "50"`,
		"apply.p99<":       `not ""`,
		"apply.p99<<50ms":  `not "<50ms"`,
		"failed<none":      `failed is held against a number, not "none"`,
		"failed<1ms":       `not "1ms"`,
		"failed<NaN":       `not "NaN"`,
		"failed<Inf":       `not "Inf"`,
		"failed==0, sent>": "held against a number",
	} {
		_, err := Parse(text)
		require.ErrorContains(t, err, says, text)
		require.NotContains(t, err.Error(), "\n")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("apply.p99<50ms")
	f.Add("failed == 0")
	f.Fuzz(func(t *testing.T, s string) {
		threshold, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(threshold.String())
		require.NoError(t, err)
		require.Equal(t, threshold.String(), again.String())
		require.Equal(t, threshold.bound, again.bound)
	})
}
