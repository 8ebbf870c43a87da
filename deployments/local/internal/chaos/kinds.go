package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"example.com/lockstep/deployments/local/internal/stack"
	"example.com/lockstep/deployments/local/internal/stackdir"
)

// ErrUnknown says that there is no fault of that name.
var ErrUnknown = errors.New("no such fault")

// The faults.
const (
	KillWorker     = "kill-worker"
	KillRouter     = "kill-router"
	TermWorker     = "term-worker"
	TermRouter     = "term-router"
	RollingRestart = "rolling-restart"
	StopWorker     = "stop-worker"
	StopRouter     = "stop-router"
	KillRedis      = "kill-redis"
	CrashRedis     = "crash-redis"
	StopRedis      = "stop-redis"
	FlushRedis     = "flush-redis"
	KillNATS       = "kill-nats"
	CutProducer    = "cut-producer"
	SlowLinks      = "slow-links"
	LossyLinks     = "lossy-links"
	CutLinks       = "cut-links"
	StallLinks     = "stall-links"
)

// everyone is the victim of what befalls all of a kind.
const everyone = "everyone"

// part is what a fault breaks. Faults of different parts can befall the same one at once.
type part int

const (
	aProcess part = iota
	aLink
)

// kind is what the plan knows of a fault.
type kind struct {
	name    string
	part    part
	victims func(Shape) []string
	lasts   []time.Duration // what is drawn from; none if it passes by itself
	upTo    time.Duration   // one more to draw: any time up to this
}

func kinds() []kind {
	const half, some = 500 * time.Millisecond, 5 * time.Second
	return []kind{
		{name: KillWorker, victims: workers},
		{name: KillRouter, victims: routers},
		{name: TermWorker, victims: workers},
		{name: TermRouter, victims: routers},
		{name: RollingRestart, victims: all},
		{name: StopWorker, victims: workers, lasts: []time.Duration{half, some}, upTo: time.Minute},
		{name: StopRouter, victims: routers, lasts: []time.Duration{half, some}, upTo: time.Minute},
		{name: KillRedis, victims: theRedis},
		{name: CrashRedis, victims: theRedis},
		{name: StopRedis, victims: theRedis, lasts: []time.Duration{half, some}, upTo: 30 * time.Second},
		{name: FlushRedis, victims: theRedis},
		{name: KillNATS, victims: theNATS},
		{name: CutProducer, part: aLink, victims: theProducers},
		{name: SlowLinks, part: aLink, victims: everyWayOrAll, lasts: []time.Duration{some}, upTo: 30 * time.Second},
		{name: LossyLinks, part: aLink, victims: everyWay, lasts: []time.Duration{some}, upTo: 30 * time.Second},
		{name: CutLinks, part: aLink, victims: everyWay, lasts: []time.Duration{half, some}, upTo: 30 * time.Second},
		{name: StallLinks, part: aLink, victims: everyWay, lasts: []time.Duration{half, some}, upTo: 30 * time.Second},
	}
}

func theRedis(Shape) []string  { return []string{stack.Redis} }
func theNATS(Shape) []string   { return []string{stack.NATS} }
func workers(s Shape) []string { return numbered(stackdir.RoleWorker, s.Workers) }
func routers(s Shape) []string { return numbered(stackdir.RoleRouter, s.Routers) }
func all(Shape) []string       { return []string{everyone} }

func numbered(role string, n int) (names []string) {
	for i := range n {
		names = append(names, stack.ServiceName(role, i))
	}
	return names
}

func kindOf(name string) kind {
	known := kinds()
	return known[slices.IndexFunc(known, func(k kind) bool { return k.name == name })]
}

// draw returns how long a fault is to last, 0 for one that passes by itself.
func (k kind) draw(r *rand.Rand) time.Duration {
	if len(k.lasts) == 0 {
		return 0
	}
	if i := r.IntN(len(k.lasts) + 1); i < len(k.lasts) {
		return k.lasts[i]
	}
	return time.Duration(r.Int64N(int64(k.upTo)))
}

// FaultNames lists all faults.
func FaultNames() string { return strings.Join(names(), ", ") }

func names() (names []string) {
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// hasLinks tells whether a plan needs the links.
func (p Plan) hasLinks() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return kindOf(s.Fault).part == aLink })
}

// ParseFaults reads all or a list of names, separated by commas. It returns ErrUnknown, with the known ones.
func ParseFaults(list string) ([]string, error) {
	known := names()
	if list == "all" {
		return known, nil
	}
	var faults []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%w as %q; there are %s", ErrUnknown, name, FaultNames())
		}
		if !slices.Contains(faults, name) {
			faults = append(faults, name)
		}
	}
	return faults, nil
}
