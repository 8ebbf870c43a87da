package loadtest

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
)

// application is what a fork may have made of the worker's handler and the producer's events.
type application struct {
	name string
	dir  string // of handler.go and generate.go; "" for those that come with the services
}

var (
	ledger = application{name: "ledger"}
	tags   = application{"set of strings", "testdata/tags"}
	orders = application{"orders", "testdata/orders"}
)

// build builds the application's producer and its worker, with edits of the place where workers apply events, and returns their
// directory, in which the router is too.
func (a *application) build(t *testing.T, bin string, edits map[string]string) (services string) {
	t.Helper()
	services = t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(bin, "router"), filepath.Join(services, "router")))
	overlay := programs.Overlay{}
	if a.dir == "" {
		require.NoError(t, os.Symlink(filepath.Join(bin, "producer"), filepath.Join(services, "producer")))
	} else {
		a.buildProducer(t, services, nil)
		source, err := os.ReadFile(filepath.Join(a.dir, "handler.go"))
		require.NoError(t, err)
		overlay[programs.InRoot(t, "services/worker/handler.go")] = string(source)
	}
	if len(edits) > 0 {
		overlay.Edit(t, programs.InRoot(t, "pkg/consume/attempt.go"), edits)
	}
	programs.BuildModule(t, "services/worker", services, overlay.Flag(t))
	return services
}

// buildProducer builds a producer of the application's events into a directory, with edits of its generate.go.
func (a *application) buildProducer(t *testing.T, into string, edits map[string]string) {
	t.Helper()
	file, overlay := filepath.Join(a.dir, "generate.go"), programs.Overlay{}
	overlay.Edit(t, file, edits)
	of := programs.Overlay{programs.InRoot(t, "services/producer/generate.go"): overlay[file]}
	programs.BuildModule(t, "services/producer", into, of.Flag(t))
}

// A handler whose state is a set of strings is verified as fully as any other. Where no worker tells the states, there is a
// report nevertheless.
func testTags(t *testing.T, bin string) {
	t.Parallel()
	s := up(t, bin, tags.build(t, bin, nil))
	for _, flags := range [][]string{nil, {"--producers=2"}} {
		r := s.load(t, append([]string{"--rate=2000", "--events=2000", "--keys=100"}, flags...)...).Passed()
		require.Zero(t, r.Deleted)
	}

	l := s.load(t, "--rate=500", "--duration=3s", "--keys=100", "--drain-timeout=1s")
	l.Await(programs.Sending)
	for _, name := range []string{"worker-1", "worker-2"} {
		worker := s.process(t, name)
		t.Cleanup(func() { _ = syscall.Kill(worker.PID, syscall.SIGCONT) })
		require.NoError(t, syscall.Kill(worker.PID, syscall.SIGSTOP))
	}
	r := l.Ended(98)
	require.Equal(t, "fail", r.Verdict)
	require.NotZero(t, r.Acked)
	require.EqualValues(t, 100, r.UnknownKeys)
	require.Contains(t, r.Violations[0], "whether all is applied cannot be told: the shards' positions could not be read")
	require.Contains(t, r.Violations[1], ": the state could not be read: ")
}

// Events that follow a status machine, with states that are deleted, are verified; and so is what the handler makes of them,
// by a check of the application's own.
func testOrders(t *testing.T, bin string) {
	flags := []string{"--rate=2000", "--events=3000", "--keys=50"}
	t.Run("one stack", func(t *testing.T) {
		t.Parallel()
		s := up(t, bin, orders.build(t, bin, nil))
		changed := func(edits map[string]string) programs.Report {
			dir := t.TempDir()
			orders.buildProducer(t, dir, edits)
			return programs.StartLoad(t, dir, s.dir, flags...).Ended(98)
		}
		for _, more := range [][]string{nil, {"--producers=2"}} {
			r := s.load(t, append(flags, more...)...).Passed()
			require.NotZero(t, r.Deleted)
			require.Less(t, r.Deleted, uint64(50))
		}

		r := changed(map[string]string{`(d.Counter-1)%4`: `d.Rand.IntN(3)`})
		require.Equal(t, "fail", r.Verdict)
		require.EqualValues(t, 50, r.Refused)
		require.Equal(t, r.Sent, r.Applied)
		require.Regexp(t, `^refused by Check: key load-[a-z0-9]+-order-0: [0-9]+ events came in a status that does not allow them$`, r.Violations[0])

		r = changed(map[string]string{`, Deletes: status == "closed"`: ``})
		require.Equal(t, "fail", r.Verdict)
		require.NotZero(t, r.Unproven)
		require.NotZero(t, r.Lost)
		require.Contains(t, strings.Join(r.Violations, "\n"), "or the handler deleted the state and generate does not say so")
	})
	t.Run("a worker that deletes nothing", func(t *testing.T) {
		t.Parallel()
		services := orders.build(t, bin, map[string]string{
			"res = result{}\n": "res = result{state: state, proof: a.proof.Apply(a.ev.Data)}\n"})
		r := up(t, bin, services).load(t, flags...).Ended(98)
		require.Equal(t, "fail", r.Verdict)
		require.NotZero(t, r.Lost)
		require.Zero(t, r.Duplicated)
	})
}
