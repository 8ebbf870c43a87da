package mismatch

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

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/programs"
)

const day = 24 * time.Hour

// A wrong wall clock changes neither the owner of a shard, nor order, nor what is applied. A publisher's clock is compared
// with the broker's: it may be off by hours; a session is refused if it is off by a day.
func testClocks(t *testing.T, bin string) {
	off := programs.BuildServices(t, clockOverlay(t).Flag(t))
	r := up(t, bin, bin)
	for _, by := range []time.Duration{10 * time.Minute, day} {
		t.Run("services "+by.String(), func(t *testing.T) { r.in(t).testClocksOff(t, off, by) })
		for _, by := range []time.Duration{by, -by} {
			t.Run("producer "+by.String(), func(t *testing.T) { r.in(t).testProducerOff(t, off, by) })
		}
	}
	t.Run("jumps", func(t *testing.T) { r.in(t).testClocksJump(t, off) })
}

// clockOverlay changes the standard library so that a file sets the wall clock off.
func clockOverlay(t *testing.T) programs.Overlay {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	dir := filepath.Join(strings.TrimSpace(string(root)), "src/time")
	source, err := os.ReadFile("testdata/clock.go")
	require.NoError(t, err)
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	overlay := programs.Overlay{filepath.Join(dir, "mismatch_clock.go"): string(source)}
	overlay.Edit(t, filepath.Join(dir, "time.go"), map[string]string{now: now + "\tsec += secondsOff()\n"})
	return overlay
}

// clock is a file that sets a process's wall clock off.
type clock struct {
	t    *testing.T
	file string
	off  time.Duration // as created
}

func newClock(t *testing.T, by time.Duration) clock {
	c := clock{t, filepath.Join(t.TempDir(), "clock"), by}
	c.set(by)
	return c
}

// set takes effect at once, also in a running process.
func (c clock) set(by time.Duration) {
	c.t.Helper()
	f, err := os.OpenFile(c.file, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(c.t, err)
	_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(int64(by/time.Second))), 0)
	require.NoError(c.t, err)
	require.NoError(c.t, f.Close())
}

func (c clock) env() string { return "MISMATCH_CLOCK=" + c.file }

// service is a further service of the stack that runs by a clock of its own.
type service struct {
	*process.Process
	r    *rig
	name string
	off  time.Duration // of its clock at its start
}

// startBy starts a service by a clock and waits until it has started.
func (r *rig) startBy(t *testing.T, c clock, name, path string, flags ...string) service {
	t.Helper()
	flags = append([]string{c.env(), path, "--nats=" + r.File().NATS}, flags...)
	s := service{r.start(name, "/usr/bin/env", flags...), r, name, c.off}
	r.awaitLog(name, `"msg":"started"`)
	return s
}

// stop ends the service in order and removes its log, so that the next of its name has a log of its own.
func (s service) stop(t *testing.T) {
	t.Helper()
	s.Signal(syscall.SIGTERM)
	require.Zero(t, s.ExitCode(), s.Outcome())
	require.NoError(t, os.Remove(s.r.logFile(s.name)))
}

// requireOff requires that a service's clock is off, by the time of its first log line.
func (s service) requireOff(t *testing.T) {
	t.Helper()
	var line struct{ Time time.Time }
	first, _, _ := strings.Cut(s.r.log(s.name), "\n")
	require.NoError(t, json.Unmarshal([]byte(first), &line), first)
	require.InDelta(t, s.off.Seconds(), time.Until(line.Time).Seconds(), programs.Patience.Seconds())
}

// startOff starts two workers and two routers by two clocks, and waits until each of the four workers owns a shard.
func (r *rig) startOff(t *testing.T, off string, a, b clock) (services []service) {
	t.Helper()
	for name, c := range map[string]clock{"a": a, "b": b} {
		services = append(services,
			r.startBy(t, c, "worker-"+name, filepath.Join(off, "worker"), "--redis="+r.File().Redis, "--name=worker-"+name),
			r.startBy(t, c, "router-"+name, filepath.Join(off, "router")))
	}
	return services
}

// awaitShared waits until each of four workers runs one shard, and returns each shard's owner and fence.
func (r *rig) awaitShared(t *testing.T) (owners map[int]string) {
	t.Helper()
	r.eventually(func() bool {
		all, err := r.query.Status(t.Context(), answers)
		owners = make(map[int]string)
		for _, w := range all {
			for _, s := range w.Shards {
				if s.State == "running" && len(w.Shards) == 1 {
					owners[s.Shard] = fmt.Sprintf("%s with fence %d", w.Name, s.Fence)
				}
			}
		}
		return err == nil && len(owners) == shards
	}, "no four workers with a shard each")
	return owners
}

func (r *rig) testClocksOff(t *testing.T, off string, by time.Duration) {
	a, b := newClock(t, by), newClock(t, -by)
	services := r.startOff(t, off, a, b)
	for _, s := range services {
		s.requireOff(t)
	}
	owners := r.awaitShared(t)
	r.load("--rate=2000", "--events=4000", "--keys=100")
	require.Equal(t, owners, r.awaitShared(t), "no shard changes hands")
	for _, s := range services {
		require.NotContains(t, s.r.log(s.name), "permit had expired")
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
	require.Regexp(t, fmt.Sprintf(`\n%d events failed, the first one: router refused \(session too old\): `+
		`session was born -?2[34]h[0-9ms]+ from the broker's time, at most 12h0m0s are allowed: is the publisher's clock off\?\n`, report.Failed), said)
	require.Contains(t, said, "\nproducer: nothing was acknowledged, so nothing was proven")
}

// Clocks jump under running processes. A router's permit may expire and is renewed by itself; no event fails.
func (r *rig) testClocksJump(t *testing.T, off string) {
	a, b := newClock(t, 0), newClock(t, 0)
	services := r.startOff(t, off, a, b)
	owners := r.awaitShared(t)
	cmd := programs.LoadCommand(off, r.dir, "--rate=2000", "--duration=5s", "--keys=100")
	cmd.Env = append(os.Environ(), a.env())
	l := programs.StartLoadAs(t, cmd)
	l.Await(programs.Sending)
	a.set(10 * time.Minute)
	r.awaitLog("router-a", "router permit had expired and is valid again")
	b.set(-10 * time.Minute)
	l.Await(programs.Sending)
	a.set(-10 * time.Minute)
	b.set(10 * time.Minute)
	r.awaitLog("router-b", "router permit had expired and is valid again")
	require.Zero(t, l.Passed().Failed)
	require.Equal(t, owners, r.awaitShared(t), "no shard changes hands")
	for _, s := range services {
		s.stop(t)
	}
}
