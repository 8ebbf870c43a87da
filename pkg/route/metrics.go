package route

import (
	"strings"

	"example.com/lockstep/pkg/frame"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	frames, events, batches, unacknowledged, withheld prometheus.Counter
	singles                                           map[string]prometheus.Counter // by kind of message
	refused                                           *prometheus.CounterVec
	store, batchEvents                                prometheus.Histogram
	shards                                            prometheus.Gauge
}

func newMetrics(app string, reg prometheus.Registerer) *metrics {
	f, ns := promauto.With(reg), strings.ReplaceAll(app, "-", "_")
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: "router", Name: name, Help: help})
	}
	return &metrics{
		frames: counter("frames_total", "Frames taken."),
		events: counter("events_total", "Events taken in frames."),
		singles: map[string]prometheus.Counter{
			frame.KindEvent:   counter("plain_events_total", "Plain events taken."),
			frame.KindCommand: counter("commands_total", "Operators' commands taken."),
		},
		batches: counter("batches_total", "Batches stored."),
		unacknowledged: counter("unacknowledged_total",
			"Frames, plain events and commands stored, but not under one term of the permit, and so not acknowledged."),
		withheld: counter("answers_withheld_total", "Answers not sent, as the reply subject is the app's own, another app's or NATS's."),
		refused: f.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: "router", Name: "refused_total",
			Help: "Frames, plain events and commands refused, by the answer's code, 'event' or 'command'."}, []string{"code"}),
		store: f.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Subsystem: "router", Name: "store_seconds",
			Help: "Time from publishing a batch until the log confirmed it.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)}),
		batchEvents: f.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Subsystem: "router", Name: "batch_events",
			Help: "Events of a stored batch.", Buckets: prometheus.ExponentialBuckets(1, 2, 14)}),
		shards: f.NewGauge(prometheus.GaugeOpts{Namespace: ns, Subsystem: "router", Name: "shards", Help: "Shards of the epoch routed to."}),
	}
}
