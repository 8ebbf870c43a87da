package chaos

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := Shape{Workers: rapid.IntRange(1, 5).Draw(t, "workers"), Routers: rapid.IntRange(1, 3).Draw(t, "routers")}
		faults := rapid.SliceOfNDistinct(rapid.SampledFrom(names()), 1, -1, rapid.ID[string]).Draw(t, "faults")
		seed := rapid.Uint64().Draw(t, "seed")
		duration := time.Duration(rapid.Int64Range(0, int64(10*time.Minute)).Draw(t, "duration"))

		p, err := NewPlan(seed, duration, faults, shape)
		again, _ := NewPlan(seed, duration, faults, shape)
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
	_, err := NewPlan(1, time.Second, []string{KillWorker, KillRouter}, Shape{Workers: 1, Routers: 1})
	require.EqualError(t, err, "--duration=1s is too short for 2 faults: it must be at least 7s")
	_, err = NewPlan(1, 7*time.Second, []string{KillWorker, KillRouter}, Shape{Workers: 1, Routers: 1})
	require.NoError(t, err)
}

// Over some seeds, every victim and every length is drawn, and faults overlap.
func TestPlansDiffer(t *testing.T) {
	shape := Shape{Workers: 3, Routers: 2}
	seen, overlaps := map[string]bool{}, 0
	for seed := range uint64(200) {
		p, err := NewPlan(seed, 2*time.Minute, names(), shape)
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

func TestParseFaults(t *testing.T) {
	all, err := ParseFaults("all")
	require.NoError(t, err)
	require.Equal(t, names(), all)
	two, err := ParseFaults("kill-worker, flush-redis,kill-worker")
	require.NoError(t, err)
	require.Equal(t, []string{KillWorker, FlushRedis}, two)
	for _, bad := range []string{"", "kill-workers", "kill-worker,", "all,kill-worker"} {
		_, err := ParseFaults(bad)
		require.ErrorIs(t, err, ErrUnknown, bad)
		require.ErrorContains(t, err, "there are kill-worker, ")
	}
}
