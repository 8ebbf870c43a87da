package pace

import (
	"math"
	"time"
)

// ramp is a rate that goes evenly from one to another. It is asked only up to
// its end.
type ramp struct {
	from   float64 // events per second
	slope  float64 // events per second, per second
	lowest float64 // the lower one of both rates
}

func newRamp(from, to uint64, over time.Duration) *ramp {
	return &ramp{
		from:   float64(from),
		slope:  (float64(to) - float64(from)) / over.Seconds(),
		lowest: float64(min(from, to)),
	}
}

// due solves from*t + slope/2*t^2 = events. Of the two ways to write the
// solution, this one takes no difference of close numbers and allows a slope of 0.
func (r *ramp) due(events, billionths uint64) time.Duration {
	n := joined(events, billionths)
	// Under the root is the square of the rate at that moment.
	square := max(r.from*r.from+2*r.slope*n, r.lowest*r.lowest)
	return nanoseconds(2 * n / (r.from + math.Sqrt(square)))
}

func (r *ramp) passed(d time.Duration) (events, billionths uint64) {
	t := d.Seconds()
	return split(t * (r.from + r.slope*t/2))
}

func (r *ramp) rate(d time.Duration) float64 { return r.from + r.slope*d.Seconds() }

// joined returns a number of events as one number.
func joined(events, billionths uint64) float64 { return float64(events) + float64(billionths)/billion }

// split is the inverse of joined.
func split(n float64) (events, billionths uint64) {
	integer, fraction := math.Modf(n)
	return uint64(integer), uint64(fraction * billion)
}

// nanoseconds returns so many seconds as a duration, or the longest one.
func nanoseconds(seconds float64) time.Duration {
	if n := seconds * billion; n < float64(forever) {
		return time.Duration(n)
	}
	return forever
}
