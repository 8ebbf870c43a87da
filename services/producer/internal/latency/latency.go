// Package latency keeps distributions of durations in constant memory
// (HDR histograms, Gil Tene), three significant digits from 1 us to 1 hour.
package latency

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const highest = time.Hour

// Histogram is a distribution. It is not safe for concurrent use.
type Histogram struct {
	hdr *hdrhistogram.Histogram
	max time.Duration // exact, where the histogram rounds
}

// New returns an empty histogram.
func New() *Histogram {
	return &Histogram{hdr: hdrhistogram.New(1, highest.Microseconds(), 3)}
}

// Record adds one duration. What is below 1 us counts as that, what is above
// an hour as an hour; the maximum stays exact.
func (h *Histogram) Record(d time.Duration) {
	h.max = max(h.max, d)
	// Within the range it was made for, recording cannot fail.
	_ = h.hdr.RecordValue(min(max(d, time.Microsecond), highest).Microseconds())
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() int64 { return h.hdr.TotalCount() }

// Quantile returns the duration that the share q (0 to 1) of all stayed at or
// below, 0 if there is none.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return min(h.max, time.Duration(h.hdr.ValueAtQuantile(q*100))*time.Microsecond)
}

// Summary is a distribution in milliseconds, rounded to the microsecond.
type Summary struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Summary returns the quantiles of what was recorded, all 0 if nothing was.
func (h *Histogram) Summary() Summary {
	return Summary{
		P50:  milliseconds(h.Quantile(0.5)),
		P90:  milliseconds(h.Quantile(0.9)),
		P99:  milliseconds(h.Quantile(0.99)),
		P999: milliseconds(h.Quantile(0.999)),
		Max:  milliseconds(h.max),
	}
}

func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}
