package pace

import (
	"math"
	"time"
)

// sine is a rate that swings about a mean: mean + amplitude*sin(2*pi*t/period).
type sine struct {
	mean, amplitude float64 // events per second
	period          time.Duration
	perPeriod       float64 // events of one period
	// angles are those at which each of as many equal parts of a period's events
	// has passed. An angle is sought between two of them.
	angles [parts + 1]float64
}

const parts = 256

func newSine(mean, amplitude uint64, period time.Duration) *sine {
	s := &sine{
		mean:      float64(mean),
		amplitude: float64(amplitude),
		period:    period,
		perPeriod: float64(mean) * period.Seconds(),
	}
	s.angles[parts] = 2 * math.Pi
	for i := 1; i < parts; i++ {
		s.angles[i] = swung(2*math.Pi*float64(i)/parts, s.amplitude/s.mean, math.Pi, s.angles[i-1], 2*math.Pi)
	}
	return s
}

// due counts whole periods and then seeks the angle within one.
func (s *sine) due(events, billionths uint64) time.Duration {
	n := joined(events, billionths)
	periods := math.Floor(n / s.perPeriod)
	if periods >= float64(forever/s.period) {
		return forever
	}
	rest := min(max(0, math.FMA(-periods, s.perPeriod, n)/s.perPeriod), 1)
	i := min(int(rest*parts), parts-1)
	low, high := s.angles[i], s.angles[i+1]
	guess := low + (high-low)*(rest*parts-float64(i))
	angle := swung(2*math.Pi*rest, s.amplitude/s.mean, guess, low, high)
	return time.Duration(periods)*s.period + time.Duration(angle/(2*math.Pi)*float64(s.period))
}

func (s *sine) passed(d time.Duration) (events, billionths uint64) {
	// 1-cos(x) = 2*sin(x/2)^2, which does not lose small angles.
	half := math.Sin(math.Pi * s.phase(d))
	return split(s.mean*d.Seconds() + s.amplitude*s.period.Seconds()/math.Pi*half*half)
}

func (s *sine) rate(d time.Duration) float64 {
	return s.mean + s.amplitude*math.Sin(2*math.Pi*s.phase(d))
}

// phase returns how much of its period has passed at a time, from 0 to 1.
func (s *sine) phase(d time.Duration) float64 { return float64(d%s.period) / float64(s.period) }

// swung returns the angle at which x + a*(1-cos(x)) is y, for a in (0, 1]. That
// never falls with x. x comes as a guess, with bounds on both sides. Halley's steps
// (Newton's, corrected for the curvature) find it as long as they stay between
// what is known of it so far; else it is half-way, since for a = 1 the slope comes
// down to nothing at one angle.
func swung(y, a, x, low, high float64) float64 {
	const nothing = 2e-15 // is left by rounding of numbers up to 2*pi
	for range 100 {
		sin, cos := math.Sincos(x)
		miss := x + a*(1-cos) - y
		if math.Abs(miss) <= nothing {
			break
		}
		if miss > 0 {
			high = x
		} else {
			low = x
		}
		slope := 1 + a*sin
		x -= miss * slope / (slope*slope - miss*a*cos/2)
		if !(x > low && x < high) {
			x = (low + high) / 2
		}
	}
	return x
}
