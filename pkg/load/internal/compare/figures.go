package compare

import (
	"example.com/lockstep/pkg/load/internal/latency"
	"example.com/lockstep/pkg/load/internal/report"
)

// figure is one that two reports are compared by. Not every report has it.
type figure struct {
	name string
	of   func(report.Report) (value float64, ok bool)
}

// figures returns all of them, in the table's order.
func figures() []figure {
	return []figure{
		count("sent", func(r report.Report) uint64 { return r.Sent }),
		count("acked", func(r report.Report) uint64 { return r.Acked }),
		count("failed", func(r report.Report) uint64 { return r.Failed }),
		count("behind", func(r report.Report) uint64 { return r.Overdue }),
		count("applied", func(r report.Report) uint64 { return r.Applied }),
		count("lost", func(r report.Report) uint64 { return r.Lost }),
		count("duplicated", func(r report.Report) uint64 { return r.Duplicated }),
		count("reordered keys", func(r report.Report) uint64 { return r.Reordered }),
		count("unproven keys", func(r report.Report) uint64 { return r.Unproven }),
		count("unknown keys", func(r report.Report) uint64 { return r.UnknownKeys }),
		count("unfinished", func(r report.Report) uint64 { return r.Unfinished }),
		count("set aside", func(r report.Report) uint64 { return r.SetAside }),
		count("parked", func(r report.Report) uint64 { return r.Parked }),
		count("parked keys", func(r report.Report) uint64 { return r.ParkedKeys }),
		always("acked/s", func(r report.Report) float64 { return r.AckedPerSecond }),
		always("applied/s", func(r report.Report) float64 { return r.AppliedPerSecond }),
		quantile("ack", "p50", acked, func(s latency.Summary) float64 { return s.P50 }),
		quantile("ack", "p90", acked, func(s latency.Summary) float64 { return s.P90 }),
		quantile("ack", "p99", acked, func(s latency.Summary) float64 { return s.P99 }),
		quantile("ack", "p99.9", acked, func(s latency.Summary) float64 { return s.P999 }),
		quantile("ack", "max", acked, func(s latency.Summary) float64 { return s.Max }),
		quantile("apply", "p50", applied, func(s latency.Summary) float64 { return s.P50 }),
		quantile("apply", "p90", applied, func(s latency.Summary) float64 { return s.P90 }),
		quantile("apply", "p99", applied, func(s latency.Summary) float64 { return s.P99 }),
		quantile("apply", "p99.9", applied, func(s latency.Summary) float64 { return s.P999 }),
		quantile("apply", "max", applied, func(s latency.Summary) float64 { return s.Max }),
		quantile("schedule lag", "p99", lag, func(s latency.Summary) float64 { return s.P99 }),
		{"backlog drained/s", func(r report.Report) (float64, bool) {
			if r.Backlog == nil {
				return 0, false
			}
			return r.Backlog.DrainedPerSecond, true
		}},
		{"highest rate that held/s", func(r report.Report) (float64, bool) {
			if r.FindMax == nil {
				return 0, false
			}
			return float64(r.FindMax.Rate), true
		}},
	}
}

func acked(r report.Report) latency.Summary   { return r.LatencyMS.Ack }
func applied(r report.Report) latency.Summary { return r.LatencyMS.Apply }
func lag(r report.Report) latency.Summary     { return r.ScheduleLagMS }

func always(name string, of func(report.Report) float64) figure {
	return figure{name, func(r report.Report) (float64, bool) { return of(r), true }}
}

func count(name string, of func(report.Report) uint64) figure {
	return always(name, func(r report.Report) float64 { return float64(of(r)) })
}

func quantile(of, name string, summary func(report.Report) latency.Summary, value func(latency.Summary) float64) figure {
	return always(of+" "+name+" ms", func(r report.Report) float64 { return value(summary(r)) })
}
