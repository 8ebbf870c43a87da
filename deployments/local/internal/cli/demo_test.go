package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/command"
	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/deployments/local/standin"
)

func runDemo(t *testing.T, report string) (s *standin.Supervisor, left []string) {
	t.Helper()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("FAKE_REPORT", report)
	programs := standin.Bin(t, "local")
	s = standin.Start(t, filepath.Join(programs, "local"), "demo", "--bin="+programs, "--redis=embedded", "--duration=1s")
	require.Regexp(t, `^kill -STOP \d+: router-1, for 1s$`, s.Await("kill"))
	require.Regexp(t, `^kill -9 \d+: worker-2, the owner of 6 shards$`, s.Await("kill -9"))
	s.ExitCode()
	entries, err := os.ReadDir(tmp)
	require.NoError(t, err)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	return s, left
}

func TestDemoThatPasses(t *testing.T) {
	s, left := runDemo(t, `{"sent":7,"applied":7,"latency_ms":{"apply":{"max":812}},"verdict":"pass"}`)
	require.Equal(t, command.ExitOK, s.ExitCode(), s.ErrOut)
	require.Empty(t, s.ErrOut.String())
	require.Contains(t, s.Seen, "verdict: pass")
	require.Empty(t, left, "no file is left")
}

func TestDemoThatFails(t *testing.T) {
	s, left := runDemo(t, `{"sent":7,"applied":6,"lost":1,"verdict":"fail","violations":["key 3 misses 1 event"]}`)
	require.Equal(t, command.ExitError, s.ExitCode())
	require.Contains(t, s.Seen, "  key 3 misses 1 event")
	require.Contains(t, s.Seen, "verdict: fail")
	require.Len(t, left, 1, "logs and report are kept")
	require.Contains(t, s.Seen[len(s.Seen)-1], left[0])
}

func TestDemoThatIsUnfinished(t *testing.T) {
	s, left := runDemo(t, `{"sent":7,"applied":6,"unfinished":1,"verdict":"unfinished"}`)
	require.Equal(t, command.ExitError, s.ExitCode())
	require.Regexp(t, `(?m)^  unfinished +1 +acknowledged and not applied yet$`, strings.Join(s.Seen, "\n"))
	require.Contains(t, s.Seen, "verdict: unfinished")
	require.Len(t, left, 1, "logs and report are kept")
}

func TestDemoWithoutReport(t *testing.T) {
	s, left := runDemo(t, "")
	require.Equal(t, command.ExitError, s.ExitCode())
	require.Contains(t, s.ErrOut.String(), "the load wrote no report: exit status 1, last line: no report today")
	require.Len(t, left, 1)
}

func TestDemoInterrupted(t *testing.T) {
	standin.NotIgnored(t, os.Interrupt)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	programs := standin.Bin(t, "local")
	s := standin.Start(t, filepath.Join(programs, "local"), "demo", "--bin="+programs, "--redis=embedded", "--break=none")
	s.Await("sending for")
	s.Signal(os.Interrupt)
	require.Equal(t, command.ExitError, s.ExitCode())
	require.Equal(t, "local: demo stopped: got Ctrl-C\n", s.ErrOut.String())
	entries, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, entries, "no file is left")
}

func TestDemoWithoutPrograms(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	programs := standin.Bin(t, "local")
	require.NoError(t, os.Remove(filepath.Join(programs, "producer")))
	code, out, errOut := local("demo", "--bin="+programs)
	require.Equal(t, command.ExitError, code)
	require.Empty(t, out, "checked before anything is started")
	require.Contains(t, errOut, "there is no program "+programs+"/producer")
}

func TestDemoRefusesBeforeItStarts(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	programs := standin.Bin(t, "local")
	for flag, want := range map[string]struct {
		code int
		says string
	}{
		"--duration=0s":       {command.ExitUsage, "--duration=0s: must be at least 1s"},
		"--rate=fast":         {command.ExitUsage, "--rate=fast: must be max or a number"},
		"--rate=0":            {command.ExitUsage, "--rate=0: must be max or a number"},
		"--shards=99999":      {command.ExitError, "shards is 99999 and must be at most 4096"},
		"--lanes=17":          {command.ExitError, `lanes is "17"`},
		"--break=nats":        {command.ExitUsage, `--break must be one of "hang","router","worker","store","none"`},
		"--break=none,router": {command.ExitUsage, "--break=none,router: none cannot be combined"},
	} {
		code, out, errOut := local("demo", "--bin="+programs, flag)
		require.Equal(t, want.code, code, flag)
		require.Empty(t, out, flag)
		require.Contains(t, errOut, want.says)
	}
}

func TestDemoOfParkingRefusesBeforeItStarts(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	programs := standin.Bin(t, "local")
	for flag, says := range map[string]string{
		"--duration=0s":  "--duration=0s: must be at least 1s",
		"--rate=fast":    "--rate=fast: must be max or a number",
		"--poison=0":     "--poison=0 of --keys=1000: must be a share above 0, and at least one key",
		"--poison=1.5":   "must be a share above 0",
		"--poison=1e-9":  "at least one key",
		"--keys=-1":      "--keys=-1: must be",
		"--workers=none": "--workers",
	} {
		code, out, errOut := local("demo-parking", "--bin="+programs, flag)
		require.Equal(t, command.ExitUsage, code, flag)
		require.Empty(t, out, flag)
		require.Contains(t, errOut, says)
	}
}

func TestHintsNameTheDirectory(t *testing.T) {
	dir := t.TempDir()
	for _, command := range []string{"status", "profile"} {
		_, _, errOut := local(command, "--dir="+dir)
		require.Contains(t, errOut, "start one with `go tool task up DIR="+dir+"`")
	}
	d, err := stackdir.Open(dir)
	require.NoError(t, err)
	defer d.Close()
	_, _, errOut := local("status", "--dir="+dir)
	require.Contains(t, errOut, "the stack is starting or stopping")
	require.NotContains(t, errOut, "start one")

	code, out, _ := local("clean", "--dir="+filepath.Join(dir, "none"))
	require.Equal(t, command.ExitOK, code)
	require.Contains(t, out, "there was nothing to clean")
}
