package group

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	members, owned prometheus.Gauge
	lost, removed  prometheus.Counter
}

func newMetrics(app string, reg prometheus.Registerer) *metrics {
	f, ns := promauto.With(reg), strings.ReplaceAll(app, "-", "_")
	return &metrics{
		members: f.NewGauge(prometheus.GaugeOpts{
			Namespace: ns, Subsystem: "worker", Name: "members", Help: "Workers that this worker knows of, itself included.",
		}),
		owned: f.NewGauge(prometheus.GaugeOpts{
			Namespace: ns, Subsystem: "worker", Name: "shards_owned", Help: "Shards whose lease this worker holds.",
		}),
		lost: f.NewCounter(prometheus.CounterOpts{
			Namespace: ns, Subsystem: "worker", Name: "leases_lost_total", Help: "Leases that ended while this worker held them.",
		}),
		removed: f.NewCounter(prometheus.CounterOpts{
			Namespace: ns, Subsystem: "worker", Name: "members_removed_total", Help: "Dead members that this worker removed.",
		}),
	}
}
