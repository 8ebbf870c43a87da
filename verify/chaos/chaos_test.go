package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/lockstep/deployments/local/command"
	"example.com/lockstep/deployments/local/standin"
	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/stackfile"
)

// The test binary plays all programs, depending on the name it is run under: chaos itself, NATS as local runs it, and
// stand-ins for the services.
func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	switch name {
	case "chaos":
		probe := func(context.Context, string, string) error { return nil }
		os.Exit(run(os.Args[1:], &command.Environment{Out: command.Lines(os.Stdout), Probe: probe}, os.Stderr))
	case "local":
		var grammar struct {
			NATSServer command.NATSServer `cmd:"" name:"nats-server"`
		}
		os.Exit(command.Program{Name: name, Grammar: &grammar}.Run(os.Args[1:], os.Stdout, os.Stderr))
	}
	if code, known := standin.Play(name, os.Args[1:]); known {
		os.Exit(code)
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // otherwise each process that we run takes a second to end
	goleak.VerifyTestMain(m)
}

// call runs the program inside the test.
func call(args ...string) (code int, out, errOut string) {
	var stdout, stderr bytes.Buffer
	code = run(args, &command.Environment{Out: &stdout}, &stderr)
	return code, stdout.String(), stderr.String()
}

// startChaos runs chaos with stand-ins for the services, of which the producer writes the report.
func startChaos(t *testing.T, report, code string, args ...string) (s *standin.Supervisor, tmp string) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("did not run: there is no redis-server on PATH to break")
	}
	tmp = t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("FAKE_REPORT", report)
	t.Setenv("FAKE_EXIT", code)
	programs := standin.Bin(t, "chaos", "local")
	args = append([]string{"--bin=" + programs, "--duration=5s", "--out=" + filepath.Join(t.TempDir(), "report.json")}, args...)
	return standin.Start(t, filepath.Join(programs, "chaos"), args...), tmp
}

func requireLeft(t *testing.T, tmp string, n int) {
	t.Helper()
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Len(t, left, n)
}

func TestChaosThatPasses(t *testing.T) {
	s, tmp := startChaos(t, `{"verdict":"pass","pauses":{"longest":[{"seconds":0.25},{"seconds":1.5}]}}`, "0", "--seed=7", "--faults=kill-worker")
	s.Await("the plan of seed 7: 1 fault within 5s")
	s.Await("kill -9 worker-")
	s.Await("over after ") // though the load ends with the worker
	s.Await("1 fault; the longest pause of a shard was 1.50 s; verdict: pass")
	require.Equal(t, command.ExitOK, s.ExitCode(), s.ErrOut)
	requireLeft(t, tmp, 0)
}

// A fault that is planned for after the load's end does not happen and is not counted.
func TestChaosAfterTheLoad(t *testing.T) {
	s, _ := startChaos(t, `{"verdict":"pass"}`, "0", "--seed=7", "--faults=kill-worker", "--duration=20s")
	s.Await("the plan of seed 7: 2 faults within 20s")
	s.Await("1 fault; the longest pause of a shard was under 0.1 s; verdict: pass")
	s.Await("1 of 2 faults did not begin before the load ended")
	require.Equal(t, command.ExitOK, s.ExitCode(), s.ErrOut)
}

// A service that ends by itself makes the run fail, whatever the verdict.
func TestChaosWithACrash(t *testing.T) {
	s, tmp := startChaos(t, `{"verdict":"pass"}`, "0", "--seed=7", "--faults=kill-worker")
	s.Await("the plan of seed 7: 1 fault within 5s")
	var router stackfile.Process
	require.Eventually(t, func() bool {
		dirs, err := filepath.Glob(filepath.Join(tmp, appname.Default+"-chaos-*", "stack"))
		require.NoError(t, err)
		if len(dirs) == 0 {
			return false
		}
		f, err := stackfile.Read(dirs[0])
		if err != nil {
			return false
		}
		router = f.Processes[slices.IndexFunc(f.Processes, func(p stackfile.Process) bool { return p.Name == "router-2" })]
		return true
	}, standin.Patience, time.Millisecond)
	require.NoError(t, syscall.Kill(router.PID, syscall.SIGKILL))
	require.Equal(t, command.ExitError, s.ExitCode())
	require.Equal(t, "chaos: router-2 ended by itself: signal: killed, last line: serving\n", s.ErrOut.String())
	requireLeft(t, tmp, 1)
}

// Events that waited for too long are reported, and are an error unless --no-bounds is given.
func TestChaosWithinBounds(t *testing.T) {
	t.Setenv("FAKE_UNTIL", "noted")
	report := `{"verdict":"pass","annotations":[{"what":"kill -9 worker-1","wait_seconds":1.75}]}`
	s, tmp := startChaos(t, report, "0", "--faults=kill-worker", "--no-bounds")
	s.Await("kill-worker     1      1  1.750 s  1.750 s  1.00 s, 1.50 s  crossed")
	require.Equal(t, command.ExitOK, s.ExitCode(), s.ErrOut)
	requireLeft(t, tmp, 0)

	s, _ = startChaos(t, report, "0", "--faults=kill-worker")
	require.Equal(t, boundsCrossed, s.ExitCode())
	require.Equal(t, "chaos: events waited for longer than the bounds of kill-worker\n", s.ErrOut.String())
}

func TestChaosThatFails(t *testing.T) {
	s, tmp := startChaos(t, `{"verdict":"fail"}`, "98", "--faults=kill-worker")
	s.Await("the plan of seed ")
	require.Equal(t, 98, s.ExitCode())
	require.Equal(t, "chaos: the verdict is fail\n", s.ErrOut.String())
	require.Contains(t, s.Seen[len(s.Seen)-1], "logs and data are kept in "+tmp)
	requireLeft(t, tmp, 1)
}

// The report of an earlier load is not taken for that of this one.
func TestChaosWhoseLoadFails(t *testing.T) {
	out := filepath.Join(t.TempDir(), "report.json")
	require.NoError(t, os.WriteFile(out, []byte(`{"verdict":"pass"}`), 0o644))
	s, tmp := startChaos(t, "", "0", "--faults=kill-worker", "--out="+out)
	require.Equal(t, command.ExitError, s.ExitCode())
	require.Equal(t, "chaos: the load ended without a verdict: exit status 1, last line: no report today\n", s.ErrOut.String())
	requireLeft(t, tmp, 1)
}

// An interrupt continues a stopped process before it ends it: otherwise the process would have to be killed.
func TestChaosInterrupted(t *testing.T) {
	standin.NotIgnored(t, os.Interrupt)
	s, tmp := startChaos(t, "", "", "--seed=1", "--faults=stop-worker", "--duration=10s")
	s.Await("SIGSTOP to worker-")
	s.Signal(os.Interrupt)
	require.Equal(t, command.ExitError, s.ExitCode())
	require.Equal(t, "chaos: stopped: got Ctrl-C\n", s.ErrOut.String())
	requireLeft(t, tmp, 0)
}

func TestChaosRefusesBeforeItStarts(t *testing.T) {
	programs := standin.Bin(t, "chaos", "local")
	for flag, says := range map[string]string{
		"--faults=kill-wrker": `--faults=kill-wrker: no such fault as "kill-wrker"; there are kill-worker, kill-router, `,
		"--duration=3s":       "--duration=3s is too short for 18 faults: it must be at least ",
		"--for=-1s":           "--for=-1s: must not be negative",
		"--for=60s":           "--duration=1m0s is too short for 18 faults: it must be at least ",
		"--rate=fast":         "--rate=fast: must be max or a number",
		"--keys=0":            "--keys=0: must be at least 1",
		"--workers=0":         "--workers=0: must be at least 1",
		"--redis=embedded":    "--redis=embedded: chaos breaks redis-servers of its own: give auto, cluster or sentinel",
		"--locks=2":           "--locks=2: must be 0, 1 or 3",
		"--nats-servers=2":    "--nats-servers=2: must be 1 or 3",
		"--faults=move-slot":  "--faults=move-slot: this stack cannot have the fault: move-slot needs --redis=cluster",
		"--faults=stop-locks": "--faults=stop-locks: this stack cannot have the fault: stop-locks needs --locks=3",
	} {
		code, out, errOut := call("--bin="+programs, flag)
		require.Equal(t, command.ExitUsage, code, flag)
		require.Empty(t, out, flag)
		require.Contains(t, errOut, says)
	}
	t.Setenv("PATH", t.TempDir())
	code, out, errOut := call("--bin=" + programs)
	require.Equal(t, command.ExitError, code)
	require.Empty(t, out)
	require.Equal(t, "chaos: needs redis-server on PATH: a stand-in inside this process cannot be killed\n", errOut)
}
