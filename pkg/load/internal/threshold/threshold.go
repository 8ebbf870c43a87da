// Package threshold holds a load's report against conditions, as in
// apply.p99<50ms. The idea is k6's.
package threshold

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/lockstep/pkg/load/internal/latency"
	"example.com/lockstep/pkg/load/internal/report"
)

// Threshold is a metric of a report, and the bound that it is to keep.
type Threshold struct {
	text   string
	metric metric
	op     string
	bound  float64 // milliseconds for a latency
}

// metric is a figure of a report, NaN if the report does not have it.
type metric struct {
	name    string
	latency bool // in milliseconds; its bound is a duration
	of      func(report.Report) float64
}

// counts and rates that a threshold may name.
var metrics = append([]metric{
	{"sent", false, func(r report.Report) float64 { return float64(r.Sent) }},
	{"acked", false, func(r report.Report) float64 { return float64(r.Acked) }},
	{"failed", false, func(r report.Report) float64 { return float64(r.Failed) }},
	{"behind", false, func(r report.Report) float64 { return float64(r.Overdue) }},
	{"unsent", false, func(r report.Report) float64 { return float64(r.Unsent) }},
	{"applied", false, func(r report.Report) float64 { return float64(r.Applied) }},
	{"lost", false, func(r report.Report) float64 { return float64(r.Lost) }},
	{"duplicated", false, func(r report.Report) float64 { return float64(r.Duplicated) }},
	{"reordered", false, func(r report.Report) float64 { return float64(r.Reordered) }},
	{"unproven", false, func(r report.Report) float64 { return float64(r.Unproven) }},
	{"dropped", false, func(r report.Report) float64 { return float64(r.Dropped) }},
	{"set_aside", false, func(r report.Report) float64 { return float64(r.SetAside) }},
	{"set_aside.keys", false, func(r report.Report) float64 { return float64(r.SetAsideKeys) }},
	{"parked", false, func(r report.Report) float64 { return float64(r.Parked) }},
	{"parked.keys", false, func(r report.Report) float64 { return float64(r.ParkedKeys) }},
	{"unknown", false, func(r report.Report) float64 { return float64(r.UnknownKeys) }},
	{"unfinished", false, func(r report.Report) float64 { return float64(r.Unfinished) }},
	{"pauses", false, func(r report.Report) float64 { return float64(r.Pauses.Count) }},
	{"acked.rate", false, func(r report.Report) float64 { return r.AckedPerSecond }},
	{"applied.rate", false, func(r report.Report) float64 { return r.AppliedPerSecond }},
	{"drained.rate", false, func(r report.Report) float64 {
		if r.Backlog == nil {
			return math.NaN()
		}
		return r.Backlog.DrainedPerSecond
	}},
}, latencies()...)

// latencies are the quantiles of each latency, as in apply.p99.
func latencies() (out []metric) {
	for _, of := range []struct {
		name     string
		measured func(report.Report) bool
		get      func(report.Report) latency.Summary
	}{
		{"ack", func(r report.Report) bool { return len(r.CurveMS.Ack) > 0 }, func(r report.Report) latency.Summary { return r.LatencyMS.Ack }},
		{"apply", func(r report.Report) bool { return len(r.CurveMS.Apply) > 0 }, func(r report.Report) latency.Summary { return r.LatencyMS.Apply }},
		{"schedule", func(r report.Report) bool { return r.Sent > 0 }, func(r report.Report) latency.Summary { return r.ScheduleLagMS }},
	} {
		for _, q := range []struct {
			name string
			get  func(latency.Summary) float64
		}{
			{"p50", func(s latency.Summary) float64 { return s.P50 }},
			{"p90", func(s latency.Summary) float64 { return s.P90 }},
			{"p99", func(s latency.Summary) float64 { return s.P99 }},
			{"p999", func(s latency.Summary) float64 { return s.P999 }},
			{"max", func(s latency.Summary) float64 { return s.Max }},
		} {
			out = append(out, metric{of.name + "." + q.name, true, func(r report.Report) float64 {
				if !of.measured(r) {
					return math.NaN()
				}
				return q.get(of.get(r))
			}})
		}
	}
	return out
}

// operators, those that begin with another first.
var operators = []string{"<=", ">=", "==", "!=", "<", ">"}

// Parse reads METRIC OP BOUND, as in apply.p99<50ms, applied.rate>=20000 or
// failed==0. A bound on a latency is a duration, on all else a number.
func Parse(s string) (Threshold, error) {
	text := strings.Join(strings.Fields(s), "")
	at := strings.IndexAny(text, "<>=!")
	if at < 0 {
		return Threshold{}, fmt.Errorf("threshold %q has none of %s, as in apply.p99<50ms or failed==0", s, strings.Join(operators, " "))
	}
	name, rest := text[:at], text[at:]
	i := slices.IndexFunc(operators, func(op string) bool { return strings.HasPrefix(rest, op) })
	if i < 0 {
		return Threshold{}, fmt.Errorf("threshold %q compares by none of %s", s, strings.Join(operators, " "))
	}
	t := Threshold{text: text, op: operators[i]}
	m := slices.IndexFunc(metrics, func(m metric) bool { return m.name == name })
	if m < 0 {
		return Threshold{}, fmt.Errorf("threshold %q: there is no metric %q: want one of %s", s, name, names())
	}
	t.metric = metrics[m]
	bound := strings.TrimPrefix(rest, t.op)
	if t.metric.latency {
		d, err := time.ParseDuration(bound)
		if err != nil {
			return Threshold{}, fmt.Errorf("threshold %q: %s is held against a duration like 50ms, not %q", s, name, bound)
		}
		t.bound = float64(d) / float64(time.Millisecond)
		return t, nil
	}
	n, err := strconv.ParseFloat(bound, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return Threshold{}, fmt.Errorf("threshold %q: %s is held against a number, not %q", s, name, bound)
	}
	t.bound = n
	return t, nil
}

// names lists the metrics for people.
func names() string {
	var out []string
	for _, m := range metrics {
		if !m.latency {
			out = append(out, m.name)
		}
	}
	return strings.Join(out, ", ") + ", and {ack,apply,schedule}.{p50,p90,p99,p999,max}"
}

// UnmarshalText is Parse, for flags.
func (t *Threshold) UnmarshalText(text []byte) (err error) {
	*t, err = Parse(string(text))
	return err
}

// String returns what Parse reads.
func (t Threshold) String() string { return t.text }

// Hold holds a report against thresholds. What the report does not have, as a
// drain rate without a backlog, crosses its threshold, and so does a latency of
// which nothing was measured. A report that passed and crosses one has the
// verdict crossed.
func Hold(r *report.Report, thresholds []Threshold) {
	for _, t := range thresholds {
		value := t.metric.of(*r)
		held := t.holds(value)
		if math.IsNaN(value) { // JSON has no such number
			value, held = 0, false
		}
		r.Thresholds = append(r.Thresholds, report.Threshold{Threshold: t.text, Value: value, Held: held})
		if !held && r.Verdict == report.Pass {
			r.Verdict = report.Crossed
		}
	}
}

func (t Threshold) holds(value float64) bool {
	switch t.op {
	case "<":
		return value < t.bound
	case "<=":
		return value <= t.bound
	case ">":
		return value > t.bound
	case ">=":
		return value >= t.bound
	case "==":
		return value == t.bound
	default:
		return value != t.bound
	}
}
