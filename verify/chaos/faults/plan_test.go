package faults

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"example.com/lockstep/deployments/local/stack"
)

func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := Shape{
			Workers: rapid.IntRange(1, 5).Draw(t, "workers"), Routers: rapid.IntRange(1, 3).Draw(t, "routers"),
			Locks: rapid.SampledFrom([]int{0, 1, 3}).Draw(t, "locks"), NATSServers: rapid.SampledFrom([]int{1, 3}).Draw(t, "NATS servers"),
			Redis: rapid.SampledFrom([]string{stack.RedisAuto, stack.RedisCluster, stack.RedisSentinel}).Draw(t, "Redis"),
		}
		faults := rapid.SliceOfNDistinct(rapid.SampledFrom(possible(shape)), 1, -1, rapid.ID[string]).Draw(t, "faults")
		seed := rapid.Uint64().Draw(t, "seed")
		duration := time.Duration(rapid.Int64Range(0, int64(10*time.Minute)).Draw(t, "duration"))

		p, err := NewPlan(seed, duration, faults, 0, shape)
		again, _ := NewPlan(seed, duration, faults, 0, shape)
		require.Equal(t, p, again, "the same arguments, the same plan")
		start, end := quiet(duration)
		if err != nil {
			require.Less(t, duration-start-end, time.Duration(len(faults))*leastRoom)
			return
		}
		require.True(t, slices.IsSortedFunc(p.Steps, func(a, b Step) int { return int(a.At - b.At) }))
		seen := map[string]bool{}
		for i, s := range p.Steps {
			k := kindOf(s.Fault)
			seen[s.Fault] = true
			require.Contains(t, k.victims(shape), s.Victim)
			require.GreaterOrEqual(t, s.At, start-grain)
			require.LessOrEqual(t, s.At+s.For, duration-end, "the end is quiet")
			if len(k.lasts) == 0 {
				require.Zero(t, s.For)
			} else {
				require.GreaterOrEqual(t, s.For, leastFor)
				require.LessOrEqual(t, s.For, max(k.upTo, slices.Max(k.lasts)))
			}
			for _, other := range p.Steps[:i] {
				require.False(t, s.clashes(other), "%v and %v befall the same one at once", other, s)
			}
		}
		require.Len(t, seen, len(faults), "each comes")
	})
}

func TestPlanTooShort(t *testing.T) {
	_, err := NewPlan(1, time.Second, []string{KillWorker, KillRouter}, 0, Shape{Workers: 1, Routers: 1})
	require.EqualError(t, err, "--duration=1s is too short for 2 faults: it must be at least 7s")
	_, err = NewPlan(1, 7*time.Second, []string{KillWorker, KillRouter}, 0, Shape{Workers: 1, Routers: 1})
	require.NoError(t, err)
}

// Faults last for as long as given, and each has the room for it.
func TestPlanOfALength(t *testing.T) {
	shape := Shape{Workers: 3, Routers: 2, NATSServers: 1}
	_, err := NewPlan(1, 2*time.Minute, []string{StopWorker, StopRouter}, time.Minute, shape)
	require.EqualError(t, err, "--duration=2m0s is too short for 2 faults: it must be at least 2m59s")
	for seed := range uint64(50) {
		p, err := NewPlan(seed, 3*time.Minute, []string{StopWorker, StopRouter}, time.Minute, shape)
		require.NoError(t, err)
		require.Len(t, p.Steps, 2)
		for _, s := range p.Steps {
			require.Equal(t, time.Minute, s.For)
		}
		p, err = NewPlan(seed, time.Minute, []string{KillWorker}, time.Minute, shape)
		require.Error(t, err)
		require.Empty(t, p)
	}
}

// Over some seeds, every victim and every length is drawn, and faults overlap.
func TestPlansDiffer(t *testing.T) {
	t.Run("one of each server", func(t *testing.T) { plansDiffer(t, Shape{Workers: 3, Routers: 2, NATSServers: 1}, 18) })
	t.Run("clusters and lock servers", func(t *testing.T) {
		plansDiffer(t, Shape{Workers: 3, Routers: 2, Locks: 3, NATSServers: 3, Redis: stack.RedisCluster}, len(names()))
	})
	t.Run("Sentinel", func(t *testing.T) {
		plansDiffer(t, Shape{Workers: 3, Routers: 2, NATSServers: 1, Redis: stack.RedisSentinel}, 19)
	})
}

func plansDiffer(t *testing.T, shape Shape, faults int) {
	require.Len(t, possible(shape), faults)
	seen, overlaps := map[string]bool{}, 0
	for seed := range uint64(300) {
		p, err := NewPlan(seed, 2*time.Minute, possible(shape), 0, shape)
		require.NoError(t, err)
		for i, s := range p.Steps {
			seen[s.Fault+" "+s.Victim] = true
			if i > 0 && p.Steps[i-1].At+p.Steps[i-1].For > s.At {
				overlaps++
			}
		}
	}
	for _, k := range kinds() {
		for _, victim := range k.victims(shape) {
			require.True(t, seen[k.name+" "+victim], "%s of %s", k.name, victim)
		}
	}
	require.Positive(t, overlaps)
}

// A fault with a long recovery comes again only after it.
func TestFaultsPassBeforeTheNext(t *testing.T) {
	shape := Shape{Workers: 2, Routers: 2, NATSServers: 3, Redis: stack.RedisSentinel}
	for fault, apart := range map[string]time.Duration{KillLeader: 15 * time.Second, RollingNATS: 15 * time.Second, KillMaster: 11 * time.Second} {
		p, err := NewPlan(1, 5*time.Minute, []string{fault}, 0, shape)
		require.NoError(t, err)
		require.Greater(t, len(p.Steps), 10)
		for i, s := range p.Steps[1:] {
			require.GreaterOrEqual(t, s.At-p.Steps[i].At, apart, fault)
		}
	}
}

func TestPrint(t *testing.T) {
	var out strings.Builder
	require.NoError(t, Plan{Seed: 7, Duration: time.Minute, Steps: []Step{
		{At: 1500 * time.Millisecond, Fault: KillWorker, Victim: "worker-1"},
		{At: 12 * time.Second, Fault: StopRedis, Victim: "redis", For: 2 * time.Second},
	}}.Print(&out))
	require.Equal(t, `the plan of seed 7: 2 faults within 1m0s

  1.50 s   kill-worker  worker-1  
  12.00 s  stop-redis   redis     for 2.00 s

`, out.String())
}

func TestParse(t *testing.T) {
	full := Shape{Workers: 1, Routers: 1, Locks: 3, NATSServers: 3, Redis: stack.RedisCluster}
	all, err := Parse("all", full)
	require.NoError(t, err)
	require.Equal(t, names(), all)
	two, err := Parse("kill-worker, flush-redis,kill-worker", full)
	require.NoError(t, err)
	require.Equal(t, []string{KillWorker, FlushRedis}, two)
	for _, bad := range []string{"", "kill-workers", "kill-worker,", "all,kill-worker"} {
		_, err := Parse(bad, full)
		require.ErrorIs(t, err, ErrUnknown, bad)
		require.ErrorContains(t, err, "there are kill-worker, ")
	}
}

// A stack can have the faults of its parts.
func TestFaultsOfAShape(t *testing.T) {
	small := Shape{Workers: 3, Routers: 2, NATSServers: 1}
	ofLock, ofLocks, ofCluster := []string{StopLock}, []string{StopLock, StopLocks}, []string{KillLeader, CutFollower, RollingNATS}
	ofRedisCluster := []string{KillMaster, MoveSlot, TearSlot}
	for _, test := range []struct {
		locks, natsServers int
		redis              string
		more               []string
	}{
		{0, 1, stack.RedisAuto, nil}, {1, 1, "", ofLock}, {3, 1, "", ofLocks}, {0, 3, "", ofCluster}, {3, 3, "", slices.Concat(ofLocks, ofCluster)},
		{0, 1, stack.RedisSentinel, []string{KillMaster}}, {1, 1, stack.RedisCluster, slices.Concat(ofRedisCluster, ofLock)},
	} {
		shape := small
		shape.Locks, shape.NATSServers, shape.Redis = test.locks, test.natsServers, test.redis
		all, err := Parse("all", shape)
		require.NoError(t, err)
		require.ElementsMatch(t, slices.Concat(possible(small), test.more), all)
	}
	for name, says := range map[string]string{
		StopLock:    "this stack cannot have the fault: stop-lock needs --locks=1 or --locks=3",
		StopLocks:   "this stack cannot have the fault: stop-locks needs --locks=3",
		KillLeader:  "this stack cannot have the fault: kill-leader needs --nats-servers=3",
		CutFollower: "this stack cannot have the fault: cut-follower needs --nats-servers=3",
		RollingNATS: "this stack cannot have the fault: rolling-nats needs --nats-servers=3",
		KillMaster:  "this stack cannot have the fault: kill-master needs --redis=cluster or --redis=sentinel",
		TearSlot:    "this stack cannot have the fault: tear-slot needs --redis=cluster",
		MoveSlot:    "this stack cannot have the fault: move-slot needs --redis=cluster",
	} {
		_, err := Parse("kill-worker,"+name, small)
		require.ErrorIs(t, err, ErrShape)
		require.EqualError(t, err, says)
	}
}

func TestVictimsOfAShape(t *testing.T) {
	shape := Shape{Workers: 1, Routers: 1, Locks: 3, NATSServers: 3}
	require.Equal(t, []string{"nats-1", "nats-2", "nats-3"}, kindOf(KillNATS).victims(shape))
	require.Equal(t, []string{"lock-1+lock-2", "lock-1+lock-3", "lock-2+lock-3"}, kindOf(StopLocks).victims(shape))
	require.Equal(t, []string{"producer>nats"}, kindOf(CutProducer).victims(shape))
	require.Equal(t, []string{
		"router-1>nats", "router-1>nats-1", "router-1>nats-2", "router-1>nats-3",
		"worker-1>nats", "worker-1>nats-1", "worker-1>nats-2", "worker-1>nats-3",
		"worker-1>redis", "worker-1>lock-1", "worker-1>lock-2", "worker-1>lock-3",
	}, kindOf(CutLinks).victims(shape))
	require.Equal(t, []string{"redis"}, kindOf(HangRedis).victims(shape))
	shape.Redis = stack.RedisSentinel
	require.Equal(t, []string{"redis-1", "redis-2"}, kindOf(HangRedis).victims(shape))
	require.Equal(t, []string{"redis-master"}, kindOf(FlushRedis).victims(shape))
	require.NotContains(t, kindOf(CutLinks).victims(shape), "worker-1>redis")
	shape.Redis = stack.RedisCluster
	require.Equal(t, []string{"redis-1", "redis-2", "redis-3", "redis-4", "redis-5", "redis-6"}, kindOf(KillRedis).victims(shape))
	require.Equal(t, []string{"redis-slot"}, kindOf(MoveSlot).victims(shape))
}

// Redundant servers have one fault at a time.
func TestClashes(t *testing.T) {
	for _, test := range []struct {
		one, other Step
		clash      bool
	}{
		{Step{Fault: KillLeader, Victim: theLeader}, Step{Fault: KillNATS, Victim: "nats-1"}, true},
		{Step{Fault: CutFollower, Victim: aFollower}, Step{Fault: RollingNATS, Victim: "nats-1+nats-2+nats-3"}, true},
		{Step{Fault: StopLock, Victim: "lock-1"}, Step{Fault: StopLocks, Victim: "lock-2+lock-3"}, true},
		{Step{Fault: HangRedis, Victim: "redis-5"}, Step{Fault: MoveSlot, Victim: aSlot}, true},
		{Step{Fault: HangRedis, Victim: "redis-5"}, Step{Fault: KillMaster, Victim: aMaster}, true},
		{Step{Fault: StopLock, Victim: "lock-1"}, Step{Fault: KillNATS, Victim: "nats-1"}, false},
		{Step{Fault: StopWorker, Victim: "worker-1"}, Step{Fault: KillWorker, Victim: "worker-2"}, false},
		{Step{Fault: CutLinks, Victim: "worker-1>nats"}, Step{Fault: StallLinks, Victim: "worker-1>nats-2"}, true},
		{Step{Fault: CutLinks, Victim: "worker-1>nats-1"}, Step{Fault: StallLinks, Victim: "worker-1>nats-2"}, false},
	} {
		require.Equal(t, test.clash, test.one.clashes(test.other), "%v and %v", test.one, test.other)
		require.Equal(t, test.clash, test.other.clashes(test.one))
	}
}
