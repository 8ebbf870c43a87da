package faults

import (
	"cmp"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/testkit"
)

// TestLongMixes mixes all faults that a stack can have for some minutes, by plans of several seeds.
func TestLongMixes(t *testing.T) {
	testkit.Full(t)
	clusterAndLocks := cluster
	clusterAndLocks.Locks = 3
	shapes := []Shape{oneOfEach, clusterAndLocks, oneOfEach, clusterAndLocks, redisCluster, redisSentinel, redisCluster}
	for seed, shape := range shapes {
		t.Run(fmt.Sprintf("seed %d, %d NATS servers, Redis %s", seed, shape.NATSServers, cmp.Or(shape.Redis, "alone")), func(t *testing.T) {
			length := 3 * time.Minute
			if shape.replicated() {
				length = 5 * time.Minute
			}
			p, err := NewPlan(uint64(seed), length, possible(shape), 0, shape)
			require.NoError(t, err)
			t.Logf("longest pause %s", play(t, shape, t.TempDir(), p).LongestPause())
		})
	}
}

// TestLongStops stops a process for so long that all its leases or its permit have run out when it continues.
func TestLongStops(t *testing.T) {
	testkit.Full(t)
	for _, s := range []Step{
		{At: 8 * time.Second, Fault: StopWorker, Victim: "worker-1", For: time.Minute},
		{At: 2 * time.Second, Fault: StopRouter, Victim: "router-1", For: time.Minute},
	} {
		t.Run(s.Fault, func(t *testing.T) {
			r := play(t, oneOfEach, t.TempDir(), Plan{Seed: 1, Duration: s.At + s.For + 5*time.Second, Steps: []Step{s}})
			require.Less(t, r.LongestPause(), stall+stall/2)
			t.Logf("longest pause %s, longest wait %.0f ms", r.LongestPause(), r.LatencyMS.Apply.Max)
		})
	}
}
