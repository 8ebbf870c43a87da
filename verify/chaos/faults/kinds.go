package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"example.com/lockstep/deployments/local/stack"
	"example.com/lockstep/pkg/stackfile"
)

// ErrUnknown says that there is no fault of that name, ErrShape that the stack lacks the part that the fault breaks.
var (
	ErrUnknown = errors.New("no such fault")
	ErrShape   = errors.New("this stack cannot have the fault")
)

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
	HangRedis      = "hang-redis"
	KillMaster     = "kill-master"
	MoveSlot       = "move-slot"
	TearSlot       = "tear-slot"
	KillNATS       = "kill-nats"
	CutProducer    = "cut-producer"
	SlowLinks      = "slow-links"
	LossyLinks     = "lossy-links"
	CutLinks       = "cut-links"
	StallLinks     = "stall-links"
	StopLock       = "stop-lock"
	StopLocks      = "stop-locks"
	KillLeader     = "kill-leader"
	CutFollower    = "cut-follower"
	RollingNATS    = "rolling-nats"
)

// everyone is the victim of a fault that breaks all parts of a kind.
const everyone = "everyone"

// part is what a fault breaks of its victim. Faults of different parts can have the same victim at once.
type part int

const (
	aProcess part = iota
	aLink
)

// kind describes a fault for the plan.
type kind struct {
	name    string
	part    part
	victims func(Shape) []string
	needs   string          // the flag that gives a stack the victims
	ways    bool            // it uses the links between servers, though its part is a process
	lasts   []time.Duration // lengths to draw from; none if the fault ends by itself
	upTo    time.Duration   // one more to draw: any length up to this
	passes  time.Duration   // how long recovery takes, if longer than the room of a fault
}

func kinds() []kind {
	const half, some = 500 * time.Millisecond, 5 * time.Second
	const elected = 20 * time.Second // a cluster's election takes up to 9 s, and the backlog some more
	return []kind{
		{name: KillWorker, victims: workers},
		{name: KillRouter, victims: routers},
		{name: TermWorker, victims: workers},
		{name: TermRouter, victims: routers},
		{name: RollingRestart, victims: all},
		{name: StopWorker, victims: workers, lasts: []time.Duration{half, some}, upTo: time.Minute},
		{name: StopRouter, victims: routers, lasts: []time.Duration{half, some}, upTo: time.Minute},
		{name: KillRedis, victims: theRedis},
		{name: CrashRedis, victims: theMaster},
		{name: StopRedis, victims: theRedis, lasts: []time.Duration{half, some}, upTo: 30 * time.Second},
		{name: FlushRedis, victims: theMaster},
		{name: HangRedis, victims: theRedis, lasts: []time.Duration{half, some}, upTo: 30 * time.Second},
		{name: KillMaster, victims: inRedis(aMaster, stack.RedisCluster, stack.RedisSentinel), needs: "--redis=cluster or --redis=sentinel"},
		{name: MoveSlot, victims: inRedis(aSlot, stack.RedisCluster), needs: "--redis=cluster", lasts: []time.Duration{half, some}, upTo: 15 * time.Second},
		{name: TearSlot, victims: tears, needs: "--redis=cluster"},
		{name: KillNATS, victims: theNATS},
		{name: CutProducer, part: aLink, victims: theProducers},
		{name: SlowLinks, part: aLink, victims: everyWayOrAll, lasts: []time.Duration{some}, upTo: 30 * time.Second},
		{name: LossyLinks, part: aLink, victims: everyWay, lasts: []time.Duration{some}, upTo: 30 * time.Second},
		{name: CutLinks, part: aLink, victims: everyWay, lasts: []time.Duration{half, some}, upTo: 30 * time.Second},
		{name: StallLinks, part: aLink, victims: everyWay, lasts: []time.Duration{half, some}, upTo: 30 * time.Second},
		{name: StopLock, victims: locks, needs: "--locks=1 or --locks=3", lasts: []time.Duration{half, some}, upTo: 30 * time.Second},
		{name: StopLocks, victims: twoLocks, needs: "--locks=3", lasts: []time.Duration{some, 15 * time.Second}, upTo: 30 * time.Second},
		{name: KillLeader, victims: inCluster(theLeader), needs: aCluster, passes: elected},
		{name: CutFollower, victims: inCluster(aFollower), needs: aCluster, ways: true, lasts: []time.Duration{half, some}, upTo: 30 * time.Second},
		{name: RollingNATS, victims: func(s Shape) []string { return inCluster(strings.Join(theNATS(s), and))(s) }, needs: aCluster, passes: elected},
	}
}

const (
	aCluster = "--nats-servers=3"
	// theLeader and aFollower are servers of the work stream. They are looked up when the fault begins.
	theLeader = "nats-leader"
	aFollower = "nats-follower"
	// aMaster is a Redis that has a replica, aSlot the slot of a shard in a Redis Cluster. They are drawn when the fault begins.
	aMaster = "redis-master"
	aSlot   = "redis-slot"
	// theSource and theTarget are the masters from which, and to which, the slot of a shard moves.
	theSource = "redis-source"
	theTarget = "redis-target"
	and       = "+" // as in lock-1+lock-3
)

func workers(s Shape) []string { return numbered(stackfile.RoleWorker, s.Workers) }
func routers(s Shape) []string { return numbered(stackfile.RoleRouter, s.Routers) }
func locks(s Shape) []string   { return numbered(stackfile.RoleLock, s.Locks) }
func all(Shape) []string       { return []string{everyone} }

func theRedis(s Shape) []string {
	if s.replicated() {
		return numbered(stackfile.RoleRedis, stack.RedisNodes(s.Redis))
	}
	return []string{stack.Redis}
}

func theMaster(s Shape) []string {
	if s.replicated() {
		return []string{aMaster}
	}
	return []string{stack.Redis}
}

// tears lists the ways to tear a slot that moves: the one or the other master dies.
func tears(s Shape) []string {
	return append(inRedis(theSource, stack.RedisCluster)(s), inRedis(theTarget, stack.RedisCluster)(s)...)
}

// inRedis returns a victim that there is in some forms of Redis.
func inRedis(victim string, forms ...string) func(Shape) []string {
	return func(s Shape) []string {
		if slices.Contains(forms, s.Redis) {
			return []string{victim}
		}
		return nil
	}
}

func theNATS(s Shape) []string {
	if s.NATSServers > 1 {
		return numbered(stackfile.RoleNATS, s.NATSServers)
	}
	return []string{stack.NATS}
}

func inCluster(victim string) func(Shape) []string {
	return func(s Shape) []string {
		if s.NATSServers > 1 {
			return []string{victim}
		}
		return nil
	}
}

// twoLocks lists the majorities of three lock servers.
func twoLocks(s Shape) (pairs []string) {
	if s.Locks != 3 {
		return nil
	}
	for i, one := range locks(s) {
		for _, other := range locks(s)[i+1:] {
			pairs = append(pairs, one+and+other)
		}
	}
	return pairs
}

// team is the role of a victim that is one or several redundant servers, else the victim itself. A team has one fault at a
// time: it cannot bear more.
func team(victim string) string {
	for _, role := range []string{stackfile.RoleNATS, stackfile.RoleLock, stackfile.RoleRedis} {
		if strings.HasPrefix(victim, role+"-") {
			return role
		}
	}
	return victim
}

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

// takes returns how long a fault's room should be, for its recovery.
func (k kind) takes(s Shape) time.Duration {
	const rejoined = 15 * time.Second // until a Redis follows its former replica; a Sentinel tells it so after 8 s
	if s.replicated() && slices.ContainsFunc(k.victims(s), func(victim string) bool { return team(victim) == stackfile.RoleRedis }) {
		return rejoined
	}
	return max(room, k.passes)
}

// draw returns how long a fault lasts, 0 if it ends by itself.
func (k kind) draw(r *rand.Rand) time.Duration {
	if len(k.lasts) == 0 {
		return 0
	}
	if i := r.IntN(len(k.lasts) + 1); i < len(k.lasts) {
		return k.lasts[i]
	}
	return time.Duration(r.Int64N(int64(k.upTo)))
}

// Names lists all faults.
func Names() string { return strings.Join(names(), ", ") }

func names() (names []string) {
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// hasLinks tells whether a plan needs the links.
func (p Plan) hasLinks() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { k := kindOf(s.Fault); return k.part == aLink || k.ways })
}

// possible lists the faults that a stack can have.
func possible(s Shape) (names []string) {
	for _, k := range kinds() {
		if len(k.victims(s)) > 0 {
			names = append(names, k.name)
		}
	}
	return names
}

// Parse reads a list of names, separated by commas, or all, which means every fault that the stack can have. It returns
// ErrUnknown with the known names, or ErrShape with the flag that is missing.
func Parse(list string, s Shape) ([]string, error) {
	if list == "all" {
		return possible(s), nil
	}
	known := names()
	var faults []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%w as %q; there are %s", ErrUnknown, name, Names())
		}
		if k := kindOf(name); len(k.victims(s)) == 0 {
			return nil, fmt.Errorf("%w: %s needs %s", ErrShape, name, k.needs)
		}
		if !slices.Contains(faults, name) {
			faults = append(faults, name)
		}
	}
	return faults, nil
}
