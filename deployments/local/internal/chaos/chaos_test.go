package chaos

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

	"example.com/lockstep/deployments/local/internal/stack"
)

var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(built.dir)
		os.Exit(code)
	}))
}

// programs builds what runs here, without the race detector, and says so where it cannot run.
func programs(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("did not run: -short, and it builds every program")
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("did not run: there is no redis-server on PATH to break")
	}
	built.once.Do(build)
	require.NoError(t, built.err)
	return built.dir
}

func build() {
	if built.dir, built.err = os.MkdirTemp("", "lockstep-chaos-test-"); built.err != nil {
		return
	}
	for _, module := range []string{"services/router", "services/worker", "services/producer", "deployments/local"} {
		command := exec.Command("go", "build", "-C", filepath.Join("../../../..", module), "-o", built.dir+"/", ".")
		command.Stderr = os.Stderr
		if built.err = command.Run(); built.err != nil {
			return
		}
	}
}

// testShape is what is broken here.
var testShape = Shape{Workers: 3, Routers: 2}

const (
	testRate = "2000"
	testKeys = 200
	// stall is the longest that an event may wait: the lease of a worker of which nobody can tell that it is gone.
	stall = 10 * time.Second
)

// lines writes to a test's log.
type lines struct{ t *testing.T }

func (l lines) Write(p []byte) (int, error) {
	l.t.Logf("%s", p)
	return len(p), nil
}

// play carries a plan out and requires that nothing is wrong in the end.
func play(t *testing.T, p Plan) Report {
	t.Helper()
	bin := programs(t)
	r, err := Run(t.Context(), context.Background(), Config{
		Stack: stack.Config{Bin: bin, Workers: testShape.Workers, Routers: testShape.Routers, Shards: 16, Say: func(line string) { t.Log(line) }},
		Plan:  p, Rate: testRate, Keys: testKeys, Report: filepath.Join(t.TempDir(), "report.json"), Out: lines{t},
	})
	require.NoError(t, err)
	require.Equal(t, pass, r.Verdict, "%v", r.Violations)
	require.Zero(t, r.UnknownKeys)
	require.Zero(t, r.Failed, "no event is given up")
	require.Len(t, r.Annotations, len(p.Steps), "each fault is in the report")
	return r
}

// Nothing is lost, doubled or reordered when one thing breaks, and nothing stands still for long.
func TestEachFault(t *testing.T) {
	steps := []Step{
		{Fault: KillWorker, Victim: "worker-1"},
		{Fault: KillRouter, Victim: "router-1"},
		{Fault: TermWorker, Victim: "worker-2"},
		{Fault: TermRouter, Victim: "router-2"},
		{Fault: RollingRestart, Victim: everyone},
		{Fault: StopWorker, Victim: "worker-3", For: 3 * time.Second},
		{Fault: StopRouter, Victim: "router-1", For: 2 * time.Second},
		{Fault: KillRedis, Victim: stack.Redis},
		{Fault: CrashRedis, Victim: stack.Redis},
		{Fault: StopRedis, Victim: stack.Redis, For: 3 * time.Second},
		{Fault: FlushRedis, Victim: stack.Redis},
		{Fault: KillNATS, Victim: stack.NATS},
		{Fault: CutProducer, Victim: "producer>nats"},
		{Fault: SlowLinks, Victim: everyone, For: 2 * time.Second},
		{Fault: LossyLinks, Victim: "worker-1>redis", For: 2 * time.Second},
		{Fault: CutLinks, Victim: "worker-2>nats", For: 2 * time.Second},
		{Fault: StallLinks, Victim: "worker-3>nats", For: 2 * time.Second},
	}
	var covered []string
	atOnce := make(chan struct{}, 2) // more would only wait for the processors
	for _, s := range steps {
		covered = append(covered, s.Fault)
		t.Run(s.Fault, func(t *testing.T) {
			t.Parallel()
			atOnce <- struct{}{}
			defer func() { <-atOnce }()
			s.At = 1500 * time.Millisecond
			length := 4*time.Second + s.For
			if s.Fault == KillWorker {
				length *= 2 // workers judge one another only when they are some seconds old
			}
			r := play(t, Plan{Seed: 1, Duration: length, Steps: []Step{s}})
			require.Less(t, r.LatencyMS.Apply.Max, float64(stall.Milliseconds()))
			t.Logf("longest pause %s, longest wait %.0f ms", r.LongestPause(), r.LatencyMS.Apply.Max)
		})
	}
	require.ElementsMatch(t, names(), covered, "each fault is tried")
}

// Some at once: slow links while NATS is killed, the store lost twice, a worker killed while another one is stopped.
func TestFaultsMixed(t *testing.T) {
	r := play(t, Plan{Seed: 1, Duration: 16 * time.Second, Steps: []Step{
		{At: 1000 * time.Millisecond, Fault: SlowLinks, Victim: everyone, For: 3 * time.Second},
		{At: 1500 * time.Millisecond, Fault: KillNATS, Victim: stack.NATS},
		{At: 2500 * time.Millisecond, Fault: FlushRedis, Victim: stack.Redis},
		{At: 3000 * time.Millisecond, Fault: KillRouter, Victim: "router-2"},
		{At: 3500 * time.Millisecond, Fault: CrashRedis, Victim: stack.Redis},
		{At: 4500 * time.Millisecond, Fault: CutLinks, Victim: "worker-3>nats", For: time.Second},
		{At: 8500 * time.Millisecond, Fault: StopWorker, Victim: "worker-2", For: 2 * time.Second},
		{At: 9000 * time.Millisecond, Fault: KillWorker, Victim: "worker-1"},
	}})
	// A receipt may come by a replay, long after its event was applied: so it is the pauses that count here. And where
	// nobody can judge, a lease must run out first, which alone may take as long as an event may wait.
	require.Less(t, r.LongestPause(), stall+stall/2)
	t.Logf("longest pause %s", r.LongestPause())
}
