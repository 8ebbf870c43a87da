package faults

import (
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Plan says what is to happen when, to whom and for how long. It is a pure value: the same arguments, the same plan.
type Plan struct {
	Seed     uint64
	Duration time.Duration // of the load
	Steps    []Step        // by time
}

// Step is one fault of a plan.
type Step struct {
	At     time.Duration // after the load's begin
	Fault  string
	Victim string
	For    time.Duration // 0 for what passes by itself, like a kill
}

// Shape is what there is to break.
type Shape struct {
	Workers, Routers int
	Locks            int // Redis that hold only locks
	NATSServers      int // a cluster if there are several
}

const (
	// room is the part of a plan that belongs to one fault.
	room = 5 * time.Second
	// leastRoom is what it must be at least.
	leastRoom = 2 * time.Second
	// mixed is the share of faults that come while the one before is on.
	mixed = 1. / 3
	// settled is how old workers must be before they judge one another; until then a crash costs more.
	settled = 6 * time.Second
	// recovery is how long a victim is left alone after a fault.
	recovery = time.Second
	// leastFor is how long a fault lasts at least, if it lasts.
	leastFor = 500 * time.Millisecond
	// grain is what times are rounded down to.
	grain = 10 * time.Millisecond
)

// quiet returns how much of a load stays without faults, at its start and its end.
func quiet(duration time.Duration) (start, end time.Duration) {
	return min(duration/10, settled), min(duration/4, 10*time.Second)
}

// NewPlan draws a plan: each of the faults once, in any order; then again, as long as there is room. What lasts is over
// when the quiet end begins, and nobody has two faults at once. What lasts does so for lasting, or if that is 0 for as long
// as is drawn. A duration without room for each is an error.
func NewPlan(seed uint64, duration time.Duration, faults []string, lasting time.Duration, shape Shape) (Plan, error) {
	start, end := quiet(duration)
	window := duration - start - end
	needs := (lasting + recovery) * 4 / 3 // a fault begins within the first quarter of its room
	if least := time.Duration(len(faults)) * max(leastRoom, needs); window < least {
		return Plan{}, fmt.Errorf("--duration=%s is too short for %s: it must be at least %s", duration, count(len(faults), "fault"), shortest(least))
	}
	d := drawing{rand: rand.New(rand.NewPCG(seed, 0)), shape: shape, lasting: lasting, over: start + window}
	rooms := max(len(faults), int(window*time.Duration(len(faults))/needed(faults, needs)))
	size := window / time.Duration(rooms)
	var bag []string
	for i := range rooms {
		if len(bag) == 0 {
			bag = slices.Clone(faults)
			d.rand.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
		}
		from := start + time.Duration(i)*size
		until := from + size
		if i >= len(faults) {
			until = d.over // each has come once: now they may reach over one another
		}
		d.step(bag[0], from, size, until)
		bag = bag[1:]
	}
	slices.SortStableFunc(d.steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return Plan{Seed: seed, Duration: duration, Steps: d.steps}, nil
}

// needed is how long a plan that has each of the faults once takes, if it can.
func needed(faults []string, atLeast time.Duration) (sum time.Duration) {
	for _, f := range faults {
		sum += max(room, atLeast, kindOf(f).passes)
	}
	return sum
}

// shortest is the least duration, in whole seconds, that leaves so much between its quiet ends.
func shortest(window time.Duration) time.Duration {
	duration := window.Truncate(time.Second)
	for {
		if start, end := quiet(duration); duration-start-end >= window {
			return duration
		}
		duration += time.Second
	}
}

// drawing is a plan as it is drawn.
type drawing struct {
	rand    *rand.Rand
	shape   Shape
	lasting time.Duration // how long what lasts does so; 0: as drawn
	over    time.Duration // by when all is to be over
	steps   []Step
}

// step adds a fault in its room, which begins at from, or while the one before is on. If everybody it could befall is
// taken then, it is left out; it never is while all end within their rooms.
func (d *drawing) step(fault string, from, size, until time.Duration) {
	k := kindOf(fault)
	times := []time.Duration{from + d.upTo(size/4)}
	if len(d.steps) > 0 && d.rand.Float64() < mixed {
		if last := d.steps[len(d.steps)-1]; last.For > 0 && last.At+last.For <= from {
			times = slices.Insert(times, 0, last.At+d.upTo(last.For))
		}
	}
	victims := k.victims(d.shape)
	d.rand.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	lasts := k.draw(d.rand)
	if lasts > 0 && d.lasting > 0 {
		lasts = d.lasting
	}
	for _, at := range times {
		s := Step{At: at.Truncate(grain), Fault: fault}
		if lasts > 0 {
			s.For = max(min(lasts, until-recovery-s.At), leastFor).Truncate(grain)
		}
		for _, s.Victim = range victims {
			if !slices.ContainsFunc(d.steps, s.clashes) {
				d.steps = append(d.steps, s)
				return
			}
		}
	}
}

func (d *drawing) upTo(n time.Duration) time.Duration { return time.Duration(d.rand.Int64N(int64(n))) }

// clashes tells whether two faults befall the same one at the same time.
func (s Step) clashes(other Step) bool {
	if s.At >= other.At+other.For+recovery || other.At >= s.At+s.For+recovery {
		return false
	}
	a, b := kindOf(s.Fault), kindOf(other.Fault)
	return a.part == b.part && meets(s.Victim, other.Victim)
}

// meets tells whether two victims are the same one, or have one in common.
func meets(a, b string) bool {
	return a == everyone || b == everyone || team(a) == team(b) || strings.HasPrefix(a, b+"-") || strings.HasPrefix(b, a+"-")
}

// Print lays the plan out: its seed, and a line for each fault.
func (p Plan) Print(out io.Writer) error {
	fmt.Fprintf(out, "the plan of seed %d: %s within %s\n\n", p.Seed, count(len(p.Steps), "fault"), p.Duration)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range p.Steps {
		lasts := ""
		if s.For > 0 {
			lasts = "for " + seconds(s.For)
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", seconds(s.At), s.Fault, s.Victim, lasts)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
