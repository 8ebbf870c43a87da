package pace

import (
	"fmt"
	"math"
	"sort"
	"time"
)

// Pacer says when each event of a load is due. Its times count from the start
// of the load, and so include the warm-up. It is pure, keeps no state from one
// question to the next and allocates nothing, so any number of goroutines may
// ask it. Past the duration it was bound to, the last rate goes on.
//
// Event k is due when the rate, added up over time, comes to k, rounded down to
// the nanosecond. So nothing drifts: between any two times, as many events are
// due as the rate adds up to, give or take less than one. Where the rate is
// constant this is integer arithmetic and exact; elsewhere an event can be off by
// some 10^-15 of all events before it.
type Pacer struct {
	stretches []stretch // in the order of time; the first starts at 0
}

// stretch is a part of a load in which the rate follows one curve.
type stretch struct {
	start time.Duration
	first uint64 // the first event due in it
	lead  uint64 // billionths of an event that pass from start until first is due: below a billion
	curve curve
}

// A curve is a rate over time. Numbers of events are whole ones and billionths of
// one; times count from the curve's start.
type curve interface {
	// due returns when so many events have passed.
	due(events, billionths uint64) time.Duration
	// passed returns how many events have passed by a time.
	passed(d time.Duration) (events, billionths uint64)
	// rate returns the rate at a time, in events per second.
	rate(d time.Duration) float64
}

const (
	billion = 1_000_000_000
	forever = time.Duration(math.MaxInt64)
)

// Over binds a schedule to a load's duration, where 0 stands for no limit. A
// warm-up comes before it, at the rate that the schedule begins with; it may be 0.
// An error says why the schedule cannot be had in this duration; max can in none,
// as it has no intended times.
func (s Schedule) Over(duration, warmUp time.Duration) (Pacer, error) {
	if err := s.check(duration, warmUp); err != nil {
		return Pacer{}, err
	}
	var p Pacer
	if warmUp > 0 {
		p.append(0, constant(s.rates[0]))
	}
	p.append(warmUp, s.firstCurve(duration))
	switch s.kind {
	case kindRamp:
		p.append(warmUp+duration, constant(s.rates[1]))
	case kindSteps:
		for i, rate := range s.rates[1:] {
			p.append(warmUp+part(duration, i+1, len(s.rates)), constant(rate))
		}
	case kindSpike:
		at, length := s.times[0], s.times[1]
		p.append(warmUp+at, constant(s.rates[1]))
		p.append(warmUp+at+length, constant(s.rates[0]))
	}
	return p, nil
}

func (s Schedule) check(duration, warmUp time.Duration) error {
	switch {
	case s.kind == kindMax:
		return fmt.Errorf("rate max sends as fast as events are acknowledged, so it has no times to keep to: set a number of events per second")
	case duration < 0 || duration > maxDuration:
		return fmt.Errorf("duration must be from 0 (no limit) to %s, not %s", short(maxDuration), short(duration))
	case warmUp < 0 || warmUp > maxDuration:
		return fmt.Errorf("warm-up must be from 0 to %s, not %s", short(maxDuration), short(warmUp))
	case duration == 0 && (s.kind == kindRamp || s.kind == kindSteps):
		return fmt.Errorf("rate %s is spread over the load's duration, which has no limit: set a duration", s)
	case s.kind == kindSpike && duration > 0 && s.times[0]+s.times[1] > duration:
		return fmt.Errorf("rate %s: the spike ends at %s, after the load does at %s: set a longer duration or an earlier spike",
			s, short(s.times[0]+s.times[1]), short(duration))
	}
	return nil
}

// firstCurve is what the schedule begins with after the warm-up.
func (s Schedule) firstCurve(duration time.Duration) curve {
	switch s.kind {
	case kindRamp:
		return newRamp(s.rates[0], s.rates[1], duration)
	case kindSine:
		return newSine(s.rates[0], s.rates[1], s.times[0])
	default:
		return constant(s.rates[0])
	}
}

// part returns i of n parts of a duration, and never overflows for i up to n.
func part(d time.Duration, i, n int) time.Duration {
	parts, part := time.Duration(n), time.Duration(i)
	return d/parts*part + d%parts*part/parts
}

// append adds a stretch, which ends the one before it.
func (p *Pacer) append(start time.Duration, c curve) {
	s := stretch{start: start, curve: c}
	if n := len(p.stretches); n > 0 {
		s.first, s.lead = p.stretches[n-1].next(start)
	}
	p.stretches = append(p.stretches, s)
}

// next returns the first event due at a time or after it, and the billionths of
// an event that pass until then, if the stretch goes on so long.
func (s *stretch) next(at time.Duration) (event, lead uint64) {
	events, billionths := s.curve.passed(at - s.start)
	event = s.first + events
	if billionths > s.lead {
		return event + 1, billion - (billionths - s.lead)
	}
	return event, s.lead - billionths
}

// Intended returns when event k, counting from 0, is due. Later events are due
// later. What a duration cannot hold is returned as the longest one.
func (p Pacer) Intended(k uint64) time.Duration {
	i := sort.Search(len(p.stretches), func(i int) bool { return p.stretches[i].first > k }) - 1
	s := &p.stretches[i]
	due := s.curve.due(k-s.first, s.lead)
	if due > forever-s.start {
		return forever
	}
	return s.start + due
}

// Events returns how many events are due before d: those with Intended(k) < d,
// exactly.
func (p Pacer) Events(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	n, _ := p.during(d).next(d)
	// A curve that is not constant may have rounded.
	for n > 0 && p.Intended(n-1) >= d {
		n--
	}
	for p.Intended(n) < d {
		n++
	}
	return n
}

// Rate returns the rate at a time, in events per second.
func (p Pacer) Rate(d time.Duration) float64 {
	s := p.during(max(d, 0))
	return s.curve.rate(max(d, 0) - s.start)
}

// during returns the stretch that a time lies in.
func (p Pacer) during(d time.Duration) *stretch {
	i := sort.Search(len(p.stretches), func(i int) bool { return p.stretches[i].start > d })
	return &p.stretches[i-1]
}
