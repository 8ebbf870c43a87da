// Package latency keeps distributions of durations in constant memory
// (HDR histograms, Gil Tene), three significant digits from 1 us to 1 hour.
package latency

import (
	"bytes"
	"encoding/gob"
	"errors"
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

// New returns an empty histogram of three significant digits, some 180 KiB.
func New() *Histogram { return &Histogram{hdr: hdrhistogram.New(1, highest.Microseconds(), 3)} }

// NewCoarse returns an empty histogram of two significant digits, some 26 KiB:
// one of many over time.
func NewCoarse() *Histogram {
	return &Histogram{hdr: hdrhistogram.New(1, highest.Microseconds(), 2)}
}

// Record adds one duration. What is below 1 us counts as that, what is above
// an hour as an hour; the maximum stays exact.
func (h *Histogram) Record(d time.Duration) {
	h.max = max(h.max, d)
	// Within the range it was made for, recording cannot fail.
	_ = h.hdr.RecordValue(min(max(d, time.Microsecond), highest).Microseconds())
}

// Merge adds what another histogram recorded.
func (h *Histogram) Merge(other *Histogram) {
	h.max = max(h.max, other.max)
	h.hdr.Merge(other.hdr)
}

// Reset forgets what was recorded.
func (h *Histogram) Reset() {
	h.hdr.Reset()
	h.max = 0
}

// wire is a histogram as it goes from one process to another.
type wire struct {
	HDR *hdrhistogram.Snapshot
	Max time.Duration
}

// GobEncode implements gob.GobEncoder.
func (h *Histogram) GobEncode() ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(wire{HDR: h.hdr.Export(), Max: h.max})
	return b.Bytes(), err
}

// GobDecode implements gob.GobDecoder.
func (h *Histogram) GobDecode(b []byte) error {
	var w wire
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&w); err != nil {
		return err
	}
	if w.HDR == nil {
		return errors.New("a histogram without counts")
	}
	if err := w.HDR.Validate(); err != nil {
		return err
	}
	h.hdr, h.max = hdrhistogram.Import(w.HDR), w.Max
	return nil
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
		P50:  Milliseconds(h.Quantile(0.5)),
		P90:  Milliseconds(h.Quantile(0.9)),
		P99:  Milliseconds(h.Quantile(0.99)),
		P999: Milliseconds(h.Quantile(0.999)),
		Max:  Milliseconds(h.max),
	}
}

// Step is one point of a distribution's curve: the share Percentile of all, in
// percent, stayed at or below MS milliseconds.
type Step struct {
	Percentile float64 `json:"percentile"`
	MS         float64 `json:"ms"`
}

// Curve returns the distribution at percentiles that close in on 100 by halves,
// as HDR histograms are drawn, down to single durations: two steps a half, and so
// some 60 for a thousand million durations. It is empty if nothing was recorded.
func (h *Histogram) Curve() []Step {
	n := float64(h.Count())
	if n == 0 {
		return []Step{}
	}
	curve := []Step{{0, Milliseconds(h.Quantile(0))}}
	for above := 1.0; above*n >= 1; above /= 2 {
		for _, part := range []float64{1, 0.75} { // two steps a half
			q := 1 - above*part
			if q > 0 && above*part*n >= 1 {
				curve = append(curve, Step{100 * q, Milliseconds(h.Quantile(q))})
			}
		}
	}
	return append(curve, Step{100, Milliseconds(h.max)})
}

// Milliseconds returns a duration in milliseconds, rounded to the microsecond.
func Milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}
