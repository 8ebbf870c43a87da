package consume

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	applied, duplicates, late, closed, jumps, stale, failures, retries, passedOver prometheus.Counter

	commit, roundEvents prometheus.Histogram
	passed              *prometheus.CounterVec
}

func newMetrics(app string, reg prometheus.Registerer, b *budget, of *statuses, givenUp func() int, paused func() time.Duration) *metrics {
	f, ns := promauto.With(reg), strings.ReplaceAll(app, "-", "_")
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: "worker", Name: name, Help: help})
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: ns, Subsystem: "worker", Name: "cache_bytes", Help: "States in memory."},
		func() float64 { return float64(b.used.Load()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: ns, Subsystem: "worker", Name: "shards_stopped", Help: "Shards that wait for an operator."},
		func() float64 { return float64(of.stopped()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: ns, Subsystem: "worker", Name: "shards_braked",
		Help: "Shards that take no events, as too many of them fail."}, func() float64 { return float64(of.braked()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: ns, Subsystem: "worker", Name: "keys_set_aside",
		Help: "Keys with events that wait because one failed."}, func() float64 { keys, _, _ := of.aside(); return float64(keys) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: ns, Subsystem: "worker", Name: "keys_parked",
		Help: "Those of them that wait for an operator."}, func() float64 { _, parked, _ := of.aside(); return float64(parked) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: ns, Subsystem: "worker", Name: "events_set_aside",
		Help: "Events that wait because one of their key failed."}, func() float64 { _, _, events := of.aside(); return float64(events) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: ns, Subsystem: "worker", Name: "handlers_given_up",
		Help: "Calls of the handler that were given up, as they did not return in time, and still run."},
		func() float64 { return float64(givenUp()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: ns, Subsystem: "worker", Name: "pause_seconds",
		Help: "How much is left of a pause of all of this worker's shards; 0: they take events."},
		func() float64 { return paused().Seconds() })
	return &metrics{
		applied:    counter("events_applied_total", "Events applied and committed."),
		duplicates: counter("events_duplicate_total", "Copies of applied events, dropped."),
		late:       counter("events_late_total", "Events of forgotten publishers, not applied."),
		closed:     counter("events_closed_total", "Events of sessions that a newer one had closed, not applied."),
		jumps:      counter("floor_jumps_total", "Floors that rose further than their publisher can have sent."),
		stale:      counter("stale_total", "Commits and loads refused because the shard's version was another one."),
		failures:   counter("handler_failures_total", "Events that the handler failed, each attempt."),
		retries:    counter("retries_total", "Attempts at events that were set aside, that have ended."),
		passedOver: counter("commands_passed_over_total", "Operators' commands that did not fit their key's events."),
		passed: f.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: "worker", Name: "messages_passed_over_total",
			Help: "Messages of the log that no router stored there: foreign ones, and copies of messages for another place."}, []string{"why"}),
		commit: f.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Subsystem: "worker", Name: "commit_seconds",
			Help: "Time of a commit that happened.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)}),
		roundEvents: f.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Subsystem: "worker", Name: "commit_events",
			Help: "Events applied in one commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 14)}),
	}
}

// count takes a commit: how many events it applied, and the counts of the others.
func (m *metrics) count(applied int, t tally) {
	m.applied.Add(float64(applied))
	m.duplicates.Add(float64(t.duplicates))
	m.late.Add(float64(t.late))
	m.closed.Add(float64(t.suspect.closed))
	m.jumps.Add(float64(t.suspect.jumps))
	m.roundEvents.Observe(float64(applied))
}
