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

	"example.com/lockstep/deployments/local/stack"
)

// Plan says which fault happens when, to which victim and for how long. It is a pure value of NewPlan's arguments.
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
	For    time.Duration // 0 for a fault that ends by itself, like a kill
}

// Shape is what a stack has to break.
type Shape struct {
	Workers, Routers int
	Locks            int    // Redis that hold only locks
	NATSServers      int    // a cluster if there are several
	Redis            string // stack.RedisCluster, stack.RedisSentinel, or else a single one
}

// replicated tells whether there are several Redis, so that one can take over from another.
func (s Shape) replicated() bool { return stack.RedisNodes(s.Redis) > 1 }

const (
	room      = 5 * time.Second        // the part of a plan that one fault gets
	leastRoom = 2 * time.Second        // the least that it gets
	mixed     = 1. / 3                 // the share of faults that begin during the one before
	settled   = 6 * time.Second        // the age at which workers judge each other; before that a crash costs more
	recovery  = time.Second            // how long a victim is left alone after a fault
	leastFor  = 500 * time.Millisecond // the least length of a fault that does not end by itself
	grain     = 10 * time.Millisecond  // times are rounded down to it
)

// quiet returns how long a load is without faults, at its start and at its end.
func quiet(duration time.Duration) (start, end time.Duration) {
	return min(duration/10, settled), min(duration/4, 10*time.Second)
}

// NewPlan draws a plan: each of the faults once, in any order; then again, as long as there is room. Every fault is over
// when the quiet end begins, and no victim has two at once. A fault that does not end by itself lasts for lasting, or for a
// drawn length if that is 0. It is an error if the duration leaves too little room.
func NewPlan(seed uint64, duration time.Duration, faults []string, lasting time.Duration, shape Shape) (Plan, error) {
	start, end := quiet(duration)
	window := duration - start - end
	needs := (lasting + recovery) * 4 / 3 // a fault begins within the first quarter of its room
	if least := time.Duration(len(faults)) * max(leastRoom, needs); window < least {
		return Plan{}, fmt.Errorf("--duration=%s is too short for %s: it must be at least %s", duration, count(len(faults), "fault"), shortest(least))
	}
	d := drawing{rand: rand.New(rand.NewPCG(seed, 0)), shape: shape, lasting: lasting, over: start + window}
	rooms := max(len(faults), int(window*time.Duration(len(faults))/needed(faults, needs, shape)))
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
			until = d.over // each has come once: from now on faults may overlap
		}
		d.step(bag[0], from, size, until)
		bag = bag[1:]
	}
	slices.SortStableFunc(d.steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return Plan{Seed: seed, Duration: duration, Steps: d.steps}, nil
}

// needed is how long a plan should be that has each of the faults once.
func needed(faults []string, atLeast time.Duration, shape Shape) (sum time.Duration) {
	for _, f := range faults {
		sum += max(atLeast, kindOf(f).takes(shape))
	}
	return sum
}

// shortest is the least duration, in full seconds, that leaves the window between its quiet ends.
func shortest(window time.Duration) time.Duration {
	duration := window.Truncate(time.Second)
	for {
		if start, end := quiet(duration); duration-start-end >= window {
			return duration
		}
		duration += time.Second
	}
}

// drawing is a plan in the making.
type drawing struct {
	rand    *rand.Rand
	shape   Shape
	lasting time.Duration // the length of faults that do not end by themselves; 0: drawn
	over    time.Duration // when every fault must be over
	steps   []Step
}

// step adds a fault in its room, which begins at from, or during the fault before. It leaves the fault out if every possible
// victim has another one then; this does not happen while all faults end within their rooms.
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

// clashes tells whether two faults have the same victim at the same time.
func (s Step) clashes(other Step) bool {
	if s.At >= other.At+other.For+recovery || other.At >= s.At+s.For+recovery {
		return false
	}
	a, b := kindOf(s.Fault), kindOf(other.Fault)
	return a.part == b.part && meets(s.Victim, other.Victim)
}

// meets tells whether two victims are the same, or have a process or link in common.
func meets(a, b string) bool {
	return a == everyone || b == everyone || team(a) == team(b) || strings.HasPrefix(a, b+"-") || strings.HasPrefix(b, a+"-")
}

// Print prints the plan: its seed, and a line for each fault.
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
