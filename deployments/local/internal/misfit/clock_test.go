package misfit

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/internal/process"
	"example.com/lockstep/deployments/local/internal/programs"
	"example.com/lockstep/pkg/query"
)

const day = 24 * time.Hour

// A wall clock that is off changes nothing of who owns a shard, of order or of what is applied. A publisher's is held
// against the broker's time: within hours it may be off, by a day it is refused.
func testClocks(t *testing.T, bin string) {
	off := programs.Build(t, clockOverlay(t).Flag(t))
	r := up(t, bin, bin)
	t.Run("worker and router", func(t *testing.T) {
		for _, c := range [][2]time.Duration{{10 * time.Minute, -10 * time.Minute}, {-10 * time.Minute, 10 * time.Minute}, {day, -day}, {-day, day}} {
			t.Run(fmt.Sprintf("worker %s, router %s", c[0], c[1]), func(t *testing.T) { r.testClocksOff(t, off, c[0], c[1]) })
		}
	})
	t.Run("producer", func(t *testing.T) {
		for _, by := range []time.Duration{10 * time.Minute, -10 * time.Minute, day, -day} {
			t.Run(by.String(), func(t *testing.T) { r.testProducerOff(t, off, by) })
		}
	})
	t.Run("jumps", func(t *testing.T) { r.testClocksJump(t, off) })
}

// clockOverlay is a standard library whose wall clock a file sets off.
func clockOverlay(t *testing.T) programs.Overlay {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	dir := filepath.Join(strings.TrimSpace(string(root)), "src/time")
	source, err := os.ReadFile("testdata/clock.go")
	require.NoError(t, err)
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	overlay := programs.Overlay{filepath.Join(dir, "misfit_clock.go"): string(source)}
	overlay.Edit(t, filepath.Join(dir, "time.go"), map[string]string{now: now + "\tsec += secondsOff()\n"})
	return overlay
}

// clock is the file that sets a process's wall clock off.
type clock struct {
	t    *testing.T
	file string
}

func newClock(t *testing.T, by time.Duration) clock {
	c := clock{t, filepath.Join(t.TempDir(), "clock")}
	c.set(by)
	return c
}

// set takes effect at once, for a running process too.
func (c clock) set(by time.Duration) {
	c.t.Helper()
	f, err := os.OpenFile(c.file, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(c.t, err)
	_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(int64(by/time.Second))), 0)
	require.NoError(c.t, err)
	require.NoError(c.t, f.Close())
}

func (c clock) env() string { return "MISFIT_CLOCK=" + c.file }

// service is a service beside the stack's that runs by a clock of its own.
type service struct {
	*process.Process
	r    *rig
	name string
}

// startBy starts a service by a clock and waits until it takes part.
func (r *rig) startBy(t *testing.T, c clock, name, path string, flags ...string) service {
	t.Helper()
	s := service{r.start(name, "/usr/bin/env", append([]string{c.env(), path, "--nats=" + r.File().NATS}, flags...)...), r, name}
	r.awaitLog(name, `"msg":"started"`)
	return s
}

// stop ends it in good order and removes its log, which the next of its name begins anew.
func (s service) stop(t *testing.T) {
	t.Helper()
	s.Signal(syscall.SIGTERM)
	require.Zero(t, s.ExitCode(), s.Outcome())
	require.NoError(t, os.Remove(s.r.logFile(s.name)))
}

// requireOff requires that a service's clock is off, by the first line that it has logged.
func (s service) requireOff(t *testing.T, by time.Duration) {
	t.Helper()
	var line struct{ Time time.Time }
	first, _, _ := strings.Cut(s.r.log(s.name), "\n")
	require.NoError(t, json.Unmarshal([]byte(first), &line), first)
	require.InDelta(t, by.Seconds(), time.Until(line.Time).Seconds(), programs.Patience.Seconds())
}

// startOff starts a third worker and a second router with clocks of their own, and waits until the worker owns its share.
func (r *rig) startOff(t *testing.T, off string, worker, router clock) (services []service) {
	t.Helper()
	w := r.startBy(t, worker, "worker-off", filepath.Join(off, "worker"), "--redis="+r.File().Redis, "--name=worker-off")
	r.awaitThree(t)
	return []service{w, r.startBy(t, router, "router-off", filepath.Join(off, "router"))}
}

// awaitThree waits until three workers share the shards, each at work with those it has, and returns who owns which under
// which fence.
func (r *rig) awaitThree(t *testing.T) (owners map[int]string) {
	t.Helper()
	r.eventually(func() bool {
		all, err := r.query.Status(t.Context(), answers)
		owners = ownersOf(all)
		return err == nil && len(all) == 3 && len(owners) == shards && shared(all)
	}, "not three workers at work")
	return owners
}

func ownersOf(all []query.Worker) map[int]string {
	owners := make(map[int]string)
	for _, w := range all {
		for _, s := range w.Shards {
			if s.State == "running" {
				owners[s.Shard] = fmt.Sprintf("%s with fence %d", w.Name, s.Fence)
			}
		}
	}
	return owners
}

// shared tells whether each worker has some shard.
func shared(all []query.Worker) bool {
	for _, w := range all {
		if len(w.Shards) == 0 {
			return false
		}
	}
	return true
}

func (r *rig) testClocksOff(t *testing.T, off string, worker, router time.Duration) {
	services := r.startOff(t, off, newClock(t, worker), newClock(t, router))
	services[0].requireOff(t, worker)
	services[1].requireOff(t, router)
	owners := r.awaitThree(t)
	r.load("--rate=2000", "--events=4000", "--keys=100")
	require.Equal(t, owners, r.awaitThree(t), "no shard changes hands")
	for _, s := range services {
		require.NotContains(t, s.r.log(s.name), "lease had run out")
		s.stop(t)
	}
	r.awaitRunning()
}

func (r *rig) testProducerOff(t *testing.T, off string, by time.Duration) {
	cmd := programs.LoadCommand(off, r.dir, "--rate=1000", "--events=1000", "--keys=100")
	cmd.Env = append(os.Environ(), newClock(t, by).env())
	l := programs.StartLoadAs(t, cmd)
	if by.Abs() < day {
		require.Zero(t, l.Passed().Failed)
		return
	}
	report := l.Ended(1)
	require.Equal(t, report.Sent, report.Failed, "each event is told to have failed")
	require.Zero(t, report.Applied)
	require.Zero(t, report.UnknownKeys)
	said := strings.Join(l.Seen, "\n")
	require.Regexp(t, fmt.Sprintf(`\n%d events failed, the first one: router refused \(session too old\): session was born -?2[34]h[0-9ms]+ from the broker's time, at most 12h0m0s are allowed: is the publisher's clock off\?\n`, report.Failed), said)
	require.Contains(t, said, "\nproducer: nothing was acknowledged, so nothing was proven")
}

// A clock that jumps under a running process: a router's lease may end by it, and comes back by itself; nothing fails.
func (r *rig) testClocksJump(t *testing.T, off string) {
	worker, router, producer := newClock(t, 0), newClock(t, 0), newClock(t, 0)
	services := r.startOff(t, off, worker, router)
	owners := r.awaitThree(t)
	cmd := programs.LoadCommand(off, r.dir, "--rate=2000", "--duration=6s", "--keys=100")
	cmd.Env = append(os.Environ(), producer.env())
	l := programs.StartLoadAs(t, cmd)
	l.Await(programs.Sending)
	router.set(10 * time.Minute)
	r.awaitLog("router-off", "router lease had run out and is back")
	worker.set(10 * time.Minute)
	producer.set(10 * time.Minute)
	l.Await(programs.Sending)
	router.set(-10 * time.Minute)
	worker.set(-10 * time.Minute)
	producer.set(-10 * time.Minute)
	l.Await(programs.Sending)
	require.Zero(t, l.Passed().Failed)
	require.Equal(t, owners, r.awaitThree(t), "no shard changes hands")
	for _, s := range services {
		s.stop(t)
	}
}
