package compare

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/load/internal/measure"
	"example.com/lockstep/pkg/load/internal/report"
)

// named is a report of 100 events in a second, each as long as given.
func named(name string, wait time.Duration, change func(*report.Config, *measure.Run)) Named {
	c := report.Config{App: "app", Run: "of-" + name, Rate: "100", Duration: "1s", Producers: 1, Keys: 1000, Distribution: "uniform", Payload: "128 random bytes", Seed: 1, Receipts: 1, Shards: 16}
	r := measure.New()
	r.Start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	r.Sent, r.Acked, r.Applied, r.Receipts, r.ReceiptsAsked = 100, 100, 100, 100, 100
	r.LastAck, r.LastReceipt, r.Sending = time.Second, time.Second, time.Second
	for range 100 {
		r.Ack.Record(wait / 2)
		r.Apply.Record(wait)
	}
	if change != nil {
		change(&c, r)
	}
	return Named{Name: name + ".json", Report: report.New(c, r)}
}

func written(t *testing.T, a, b Named) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, Write(&out, a, b))
	return out.String()
}

func TestEqualLoadsCompare(t *testing.T) {
	a, b := named("a", 4*time.Millisecond, nil), named("b", 10*time.Millisecond, func(_ *report.Config, r *measure.Run) {
		r.Lost, r.Applied, r.Violations = 1, 99, []string{"lost: one"}
	})
	require.Equal(t, `a: a.json, run of-a of 2026-11-23 10:00:00
b: b.json, run of-b of 2026-11-23 10:00:00

               figure     a     b    b/a
              verdict  pass  fail      -
                 sent   100   100   1.00
                acked   100   100   1.00
               failed     0     0      -
               behind     0     0      -
              applied   100    99  0.990
                 lost     0     1      -
           duplicated     0     0      -
       reordered keys     0     0      -
        unproven keys     0     0      -
         unknown keys     0     0      -
           unfinished     0     0      -
            set aside     0     0      -
               parked     0     0      -
          parked keys     0     0      -
              acked/s   100   100   1.00
            applied/s   100    99  0.990
           ack p50 ms     2     5   2.50
           ack p90 ms     2     5   2.50
           ack p99 ms     2     5   2.50
         ack p99.9 ms     2     5   2.50
           ack max ms     2     5   2.50
         apply p50 ms     4    10   2.50
         apply p90 ms     4    10   2.50
         apply p99 ms     4    10   2.50
       apply p99.9 ms     4    10   2.50
         apply max ms     4    10   2.50
  schedule lag p99 ms     0     0      -
`, written(t, a, b))
}

func TestDifferentLoadsAreSaidFirst(t *testing.T) {
	a := named("a", time.Millisecond, nil)
	b := named("b", time.Millisecond, func(c *report.Config, r *measure.Run) {
		c.Rate, c.Keys, c.WarmUp, c.App, c.Profile = "max", 5, "2s", "other", "a profile"
		r.Interrupted = true
	})
	text := written(t, a, b)
	require.Contains(t, text, `10:00:00, interrupted after 1.0 s

The loads were made differently, so the figures do not compare:
  rate     100   max
  warm up  -     2s
  keys     1000  5

`)
	require.Less(t, strings.Index(text, "differently"), strings.Index(text, "figure  "))
	require.NotContains(t, text, "app ", "a name changes nothing")
}

func TestEveryPartOfAConfigurationCounts(t *testing.T) {
	base := report.Config{}
	for name, other := range map[string]report.Config{
		"rate": {Rate: "1"}, "in flight": {InFlight: 1}, "duration": {Duration: "1s"}, "events": {Events: 1}, "warm up": {WarmUp: "1s"}, "producers": {Producers: 1}, "keys": {Keys: 1},
		"distribution": {Distribution: "zipf:1"}, "payload": {Payload: "random"}, "seed": {Seed: 1}, "poison": {Poison: 0.5}, "receipts": {Receipts: 1}, "shards": {Shards: 1},
	} {
		found := differ(base, other)
		require.Len(t, found, 1)
		require.Equal(t, name, found[0].name)
		require.Equal(t, "-", found[0].a)
	}
	require.Empty(t, differ(base, report.Config{App: "a", Run: "b", Profile: "c"}))
}

func TestWhatOnlyOneHasIsLeftOut(t *testing.T) {
	a, b := named("a", time.Millisecond, nil), named("b", time.Millisecond, nil)
	a.Report.Backlog = &report.Backlog{DrainedPerSecond: 1000}
	a.Report.FindMax = &report.FindMax{Rate: 4000}
	require.NotContains(t, written(t, a, b), "drained")
	require.NotContains(t, written(t, a, b), "held")
	b.Report.Backlog = &report.Backlog{DrainedPerSecond: 2500}
	b.Report.FindMax = &report.FindMax{}
	require.Regexp(t, `backlog drained/s +1000 +2500 +2\.50\n`, written(t, a, b))
	require.Regexp(t, `highest rate that held/s +4000 +0 +0\.00\n`, written(t, a, b))
}

func TestRatio(t *testing.T) {
	for _, c := range []struct {
		a, b float64
		want string
	}{{0, 0, "-"}, {0, 5, "-"}, {5, 0, "0.00"}, {4, 10, "2.50"}, {100, 99, "0.990"}, {1000, 1, "0.00100"}, {1e12, 1, "0.000000"}, {1, 431_000, "431000.00"}} {
		require.Equal(t, c.want, ratio(c.a, c.b))
	}
}

func TestReportsThatCannotBeWrittenSaySo(t *testing.T) {
	a := named("a", time.Millisecond, nil)
	require.ErrorIs(t, Write(failing{}, a, a), io.ErrClosedPipe)
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
