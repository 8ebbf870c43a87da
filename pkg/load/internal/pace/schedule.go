package pace

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of what a schedule can be made of.
const (
	maxSteps    = 1000
	minDuration = time.Millisecond
	maxDuration = 100 * time.Hour // more than a load may last
)

// Schedule says how the rate of a load goes with time. The zero value is max.
// Two schedules are the same if their strings are.
type Schedule struct {
	kind  kind
	rates []uint64        // events per second, in the order written
	times []time.Duration // in the order written
}

type kind uint8

const (
	kindMax kind = iota
	kindConstant
	kindRamp
	kindSteps
	kindSine
	kindSpike
)

// forms is how the schedules with a name are written. What stands between the
// colons is first rates, then durations.
var forms = []struct {
	kind    kind
	fields  string
	example string
	rates   int
}{
	{kindRamp, "ramp:FROM:TO", "ramp:1000:50000", 2},
	{kindSteps, "steps:R1,R2,R3...", "steps:1000,5000,25000", 0},
	{kindSine, "sine:MEAN:AMPLITUDE:PERIOD", "sine:10000:5000:30s", 2},
	{kindSpike, "spike:BASE:PEAK:AT:FOR", "spike:1000:20000:30s:5s", 2},
}

// Parse reads one of
//
//	max                         as fast as events are acknowledged
//	N                           N events per second
//	ramp:FROM:TO                evenly from one rate to another over the load's duration
//	steps:R1,R2,R3...           one rate after another, each for the same part of the duration
//	sine:MEAN:AMPLITUDE:PERIOD  swings about the mean, by at most as much; begins there, rising
//	spike:BASE:PEAK:AT:FOR      the base, except for the peak from AT on, for a duration FOR
//
// Rates are whole numbers of events per second from 1 to MaxRate. Durations are
// written like 30s or 1m30s, from 1 ms to 100 h.
func Parse(s string) (Schedule, error) {
	if s == "max" {
		return Schedule{}, nil
	}
	if rate, err := strconv.ParseUint(s, 10, 64); err == nil {
		if rate < 1 || rate > MaxRate {
			return Schedule{}, fmt.Errorf("rate %q must be from 1 to %d events per second", s, MaxRate)
		}
		return Schedule{kind: kindConstant, rates: []uint64{rate}}, nil
	}
	name, args, _ := strings.Cut(s, ":")
	for _, form := range forms {
		formName, fields, _ := strings.Cut(form.fields, ":")
		if name != formName {
			continue
		}
		parsed := Schedule{kind: form.kind}
		var err error
		if form.kind == kindSteps {
			err = parsed.parseSteps(args)
		} else {
			err = parsed.parseFields(strings.Split(fields, ":"), strings.Split(args, ":"), form.rates)
		}
		if err != nil {
			return Schedule{}, fmt.Errorf("rate %q: %w, as in %s", s, err, form.example)
		}
		return parsed, nil
	}
	return Schedule{}, fmt.Errorf("rate %q is none of max, a whole number of events per second from 1 to %d, %s, %s, %s and %s",
		s, MaxRate, forms[0].fields, forms[1].fields, forms[2].fields, forms[3].fields)
}

func (s *Schedule) parseSteps(args string) error {
	steps := strings.Split(args, ",")
	if len(steps) > maxSteps {
		return fmt.Errorf("there must be at most %d steps, not %d", maxSteps, len(steps))
	}
	for i, step := range steps {
		rate, err := parseRate(fmt.Sprint("step ", i+1), step)
		if err != nil {
			return err
		}
		s.rates = append(s.rates, rate)
	}
	return nil
}

func (s *Schedule) parseFields(names, args []string, rates int) error {
	if len(args) != len(names) {
		return fmt.Errorf("it needs %s", strings.Join(names, ":"))
	}
	for i, name := range names {
		if i < rates {
			rate, err := parseRate(name, args[i])
			if err != nil {
				return err
			}
			s.rates = append(s.rates, rate)
			continue
		}
		d, err := time.ParseDuration(args[i])
		if err != nil || d < minDuration || d > maxDuration {
			return fmt.Errorf("%s must be a duration from %s to %s, not %q", name, short(minDuration), short(maxDuration), args[i])
		}
		s.times = append(s.times, d)
	}
	if s.kind == kindSine && s.rates[1] > s.rates[0] {
		return fmt.Errorf("AMPLITUDE must be at most MEAN, %d, not %d", s.rates[0], s.rates[1])
	}
	return nil
}

func parseRate(what, s string) (uint64, error) {
	rate, err := strconv.ParseUint(s, 10, 64)
	if err != nil || rate < 1 || rate > MaxRate {
		return 0, fmt.Errorf("%s must be a whole number of events per second from 1 to %d, not %q", what, MaxRate, s)
	}
	return rate, nil
}

// UnmarshalText is Parse, for flags.
func (s *Schedule) UnmarshalText(text []byte) (err error) {
	*s, err = Parse(string(text))
	return err
}

// String returns what Parse reads.
func (s Schedule) String() string {
	if s.kind == kindMax {
		return "max"
	}
	var fields []string
	for _, rate := range s.rates {
		fields = append(fields, strconv.FormatUint(rate, 10))
	}
	for _, d := range s.times {
		fields = append(fields, short(d))
	}
	switch s.kind {
	case kindRamp:
		return "ramp:" + strings.Join(fields, ":")
	case kindSteps:
		return "steps:" + strings.Join(fields, ",")
	case kindSine:
		return "sine:" + strings.Join(fields, ":")
	case kindSpike:
		return "spike:" + strings.Join(fields, ":")
	default:
		return fields[0]
	}
}

// short writes 1m30s, but 2m and 1h, too.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Max tells whether events are sent as fast as they are acknowledged.
func (s Schedule) Max() bool { return s.kind == kindMax }

// Peak returns the highest rate that the schedule can come to, in events per
// second; infinity for max.
func (s Schedule) Peak() float64 {
	switch s.kind {
	case kindMax:
		return math.Inf(1)
	case kindSine:
		return float64(s.rates[0] + s.rates[1])
	default:
		return float64(slices.Max(s.rates))
	}
}
