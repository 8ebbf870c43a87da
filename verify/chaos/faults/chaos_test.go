package faults

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/deployments/local/stack"
	"example.com/lockstep/pkg/stackfile"
	"example.com/lockstep/pkg/testkit"
)

var built struct {
	once sync.Once
	dir  string
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(built.dir)
		os.Exit(code)
	}))
}

// bin builds the programs once and returns their directory. It skips the test if there is no redis-server.
func bin(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("did not run: there is no redis-server on PATH to break")
	}
	built.once.Do(func() {
		var err error
		built.dir, err = os.MkdirTemp("", "chaos-test-")
		require.NoError(t, err)
		programs.BuildInto(t, built.dir)
	})
	return built.dir
}

// The shapes of what is broken here.
var (
	oneOfEach  = Shape{Workers: 3, Routers: 2, NATSServers: 1}
	oneLock    = Shape{Workers: 3, Routers: 2, NATSServers: 1, Locks: 1}
	threeLocks = Shape{Workers: 3, Routers: 2, NATSServers: 1, Locks: 3}
	cluster    = Shape{Workers: 3, Routers: 2, NATSServers: 3}

	redisCluster  = Shape{Workers: 3, Routers: 2, NATSServers: 1, Redis: stack.RedisCluster}
	redisSentinel = Shape{Workers: 3, Routers: 2, NATSServers: 1, Redis: stack.RedisSentinel, Locks: 1}
)

const (
	testRate = "2000"
	testKeys = 4000 // with few keys each is written again soon after a fault, which hides a wrong state
	// stall is the longest that an event may wait: until the lease of a worker runs out whose end was not noticed.
	stall = 10 * time.Second
	// election is the longest that nats-server waits for a leader before it elects another; it cannot be set.
	election = 9 * time.Second
	// takeover is the longest that a Redis takes to be found dead and replaced. It follows its replica before rejoin is over, and
	// under Sentinel before told is.
	takeover = 5 * time.Second
	rejoin   = 8 * time.Second
	told     = 20 * time.Second
)

// atOnce limits the stacks that run side by side: more would only wait for the processors.
var atOnce = make(chan struct{}, 2)

func enter(t *testing.T) {
	t.Parallel()
	atOnce <- struct{}{}
	t.Cleanup(func() { <-atOnce })
}

// lines writes to a test's log.
type lines struct{ t *testing.T }

func (l lines) Write(p []byte) (int, error) {
	l.t.Logf("%s", p)
	return len(p), nil
}

// play carries a plan out and requires the verdict pass. Logs and data are in dir.
func play(t *testing.T, shape Shape, dir string, p Plan) Report {
	t.Helper()
	r, err := Run(t.Context(), context.Background(), Config{
		Stack: stack.Config{
			Bin: bin(t), Workers: shape.Workers, Routers: shape.Routers, LockServers: shape.Locks, NATSServers: shape.NATSServers, Shards: 16,
			Redis: shape.Redis,
			Say:   func(line string) { t.Log(line) },
		},
		Plan: p, Rate: testRate, Keys: testKeys, Report: filepath.Join(t.TempDir(), "report.json"), Dir: dir, Out: lines{t},
	})
	require.NoError(t, err)
	require.Equal(t, pass, r.Verdict, "%v", r.Violations)
	require.Zero(t, r.UnknownKeys)
	require.Zero(t, r.Failed, "no event is given up")
	require.Len(t, r.Annotations, len(p.Steps), "each fault was over before the report")
	for _, a := range r.Annotations {
		require.Positive(t, a.At, "%s before the load", a.What)
		require.Less(t, a.At, r.Sending, "%s after the load", a.What)
	}
	return r
}

// No event is lost, doubled or reordered when one part breaks, and no shard pauses for long.
func TestLongEachFault(t *testing.T) {
	testkit.Long(t)
	var covered []string
	each := func(shape Shape, longest time.Duration, steps ...Step) {
		for _, s := range steps {
			covered = append(covered, s.Fault)
			t.Run(s.Fault, func(t *testing.T) {
				enter(t)
				eachFault(t, shape, longest, s)
			})
		}
	}
	each(oneOfEach, stall,
		Step{Fault: KillWorker, Victim: "worker-1"},
		Step{Fault: KillRouter, Victim: "router-1"},
		Step{Fault: TermWorker, Victim: "worker-2"},
		Step{Fault: TermRouter, Victim: "router-2"},
		Step{Fault: RollingRestart, Victim: everyone},
		Step{Fault: StopWorker, Victim: "worker-3", For: 3 * time.Second},
		Step{Fault: StopRouter, Victim: "router-1", For: 2 * time.Second},
		Step{Fault: KillRedis, Victim: stack.Redis},
		Step{Fault: CrashRedis, Victim: stack.Redis},
		Step{Fault: StopRedis, Victim: stack.Redis, For: 3 * time.Second},
		Step{Fault: FlushRedis, Victim: stack.Redis},
		Step{Fault: HangRedis, Victim: stack.Redis, For: 2 * time.Second},
		Step{Fault: KillNATS, Victim: stack.NATS},
		Step{Fault: CutProducer, Victim: "producer>nats"},
		Step{Fault: SlowLinks, Victim: everyone, For: 2 * time.Second},
		Step{Fault: LossyLinks, Victim: "worker-1>redis", For: 2 * time.Second},
		Step{Fault: CutLinks, Victim: "worker-2>nats", For: 2 * time.Second},
		Step{Fault: StallLinks, Victim: "worker-3>nats", For: 2 * time.Second},
	)
	// While the only lock server is down, no worker can take a free shard; owners keep theirs until their leases end.
	each(oneLock, stall, Step{Fault: StopLock, Victim: "lock-1", For: 3 * time.Second})
	each(cluster, stall,
		Step{Fault: CutFollower, Victim: aFollower, For: 2 * time.Second},
		Step{Fault: RollingNATS, Victim: "nats-1+nats-2+nats-3"},
	)
	each(cluster, election+stall, Step{Fault: KillLeader, Victim: theLeader})
	// The state's Redis holds the locks too.
	each(redisCluster, takeover+stall,
		Step{Fault: KillMaster, Victim: aMaster},
		Step{Fault: TearSlot, Victim: theTarget},
		Step{Fault: MoveSlot, Victim: aSlot, For: 2 * time.Second},
	)
	covered = append(covered, StopLocks) // TestMajorityOfLocksDown
	require.ElementsMatch(t, names(), covered, "each fault is tried")
}

// eachFault breaks one part and requires that every event waits for less than longest.
func eachFault(t *testing.T, shape Shape, longest time.Duration, s Step) {
	s.At = 1500 * time.Millisecond
	length := 4*time.Second + s.For
	switch s.Fault {
	case KillWorker:
		length *= 2 // workers judge each other only when they are some seconds old
	case RollingRestart, RollingNATS:
		length *= 2 // the restart takes some seconds
	}
	if shape.NATSServers > 1 {
		length += stall // a server that is back takes time until its replicas are current
	}
	switch {
	case team(s.Victim) != stackfile.RoleRedis || s.Fault == MoveSlot:
	case shape.Redis == stack.RedisSentinel:
		length += told
	default:
		length += rejoin
	}
	dir := t.TempDir()
	r := play(t, shape, dir, Plan{Seed: 1, Duration: length, Steps: []Step{s}})
	if s.Fault == TearSlot {
		require.Contains(t, workerLogs(t, dir), "shard's slot was torn and is emptied")
	}
	require.Less(t, r.LatencyMS.Apply.Max, float64(longest.Milliseconds()))
	t.Logf("longest pause %s, longest waits: %.0f ms to be acknowledged, %.0f ms to be applied", r.LongestPause(), r.LatencyMS.Ack.Max, r.LatencyMS.Apply.Max)
}

// A Redis hangs until another has taken over, and continues as if nothing had happened. The locks are in the same cluster, or on a
// server of their own.
func TestLongReplicatedRedis(t *testing.T) {
	testkit.Long(t)
	for name, test := range map[string]struct {
		shape Shape
		step  Step
	}{
		"a master of a cluster hangs":          {redisCluster, Step{Fault: HangRedis, Victim: "redis-1", For: 3 * time.Second}},
		"a master under Sentinel hangs":        {redisSentinel, Step{Fault: HangRedis, Victim: "redis-1", For: 3 * time.Second}},
		"a master dies that hands a slot over": {redisCluster, Step{Fault: TearSlot, Victim: theSource}},
		"a master under Sentinel is killed":    {redisSentinel, Step{Fault: KillMaster, Victim: aMaster}},
	} {
		t.Run(name, func(t *testing.T) {
			enter(t)
			eachFault(t, test.shape, takeover+stall, test.step)
		})
	}
}

// A worker that cannot reach NATS refuses to start and is started again: that is no crash.
func TestLongRefusalsToStart(t *testing.T) {
	testkit.Long(t)
	enter(t)
	dir := t.TempDir()
	r := play(t, oneOfEach, dir, Plan{Seed: 1, Duration: 10 * time.Second, Steps: []Step{
		{At: 1000 * time.Millisecond, Fault: CutLinks, Victim: "worker-1>nats", For: 2500 * time.Millisecond},
		{At: 1500 * time.Millisecond, Fault: KillWorker, Victim: "worker-1"},
	}})
	require.Contains(t, logOf(t, dir, "worker-1"), "\nworker: cannot reach NATS at ")
	require.Less(t, r.LongestPause(), stall+stall/2)
}

// Several faults at once: slow links while NATS is killed, the store lost twice, a worker killed while another is stopped.
func TestLongFaultsMixed(t *testing.T) {
	testkit.Long(t)
	r := play(t, oneOfEach, t.TempDir(), Plan{Seed: 1, Duration: 16 * time.Second, Steps: []Step{
		{At: 1000 * time.Millisecond, Fault: SlowLinks, Victim: everyone, For: 3 * time.Second},
		{At: 1500 * time.Millisecond, Fault: KillNATS, Victim: stack.NATS},
		{At: 2500 * time.Millisecond, Fault: FlushRedis, Victim: stack.Redis},
		{At: 3000 * time.Millisecond, Fault: KillRouter, Victim: "router-2"},
		{At: 3500 * time.Millisecond, Fault: CrashRedis, Victim: stack.Redis},
		{At: 4500 * time.Millisecond, Fault: CutLinks, Victim: "worker-3>nats", For: time.Second},
		{At: 8500 * time.Millisecond, Fault: StopWorker, Victim: "worker-2", For: 2 * time.Second},
		{At: 9000 * time.Millisecond, Fault: KillWorker, Victim: "worker-1"},
	}})
	// A replay may send a receipt long after its event was applied, so this test looks at pauses and not at latency. A pause
	// may be longer than one lease: where workers cannot judge each other, a lease must run out first.
	require.Less(t, r.LongestPause(), stall+stall/2)
	t.Logf("longest pause %s", r.LongestPause())
}

// Several faults at once on a cluster with lock servers of its own.
func TestLongFaultsMixedOnACluster(t *testing.T) {
	testkit.Long(t)
	enter(t)
	shape := cluster
	shape.Locks = 3
	r := play(t, shape, t.TempDir(), Plan{Seed: 1, Duration: 24 * time.Second, Steps: []Step{
		{At: 1000 * time.Millisecond, Fault: SlowLinks, Victim: everyone, For: 3 * time.Second},
		{At: 1500 * time.Millisecond, Fault: CutFollower, Victim: aFollower, For: time.Second},
		{At: 2000 * time.Millisecond, Fault: StopLock, Victim: "lock-3", For: 5 * time.Second},
		{At: 3000 * time.Millisecond, Fault: FlushRedis, Victim: stack.Redis},
		{At: 8000 * time.Millisecond, Fault: KillLeader, Victim: theLeader},
		{At: 8500 * time.Millisecond, Fault: KillWorker, Victim: "worker-1"},
		{At: 9000 * time.Millisecond, Fault: CutLinks, Victim: "worker-2>nats", For: time.Second},
	}})
	require.Less(t, r.LongestPause(), election+stall+stall/2)
	t.Logf("longest pause %s", r.LongestPause())
}
