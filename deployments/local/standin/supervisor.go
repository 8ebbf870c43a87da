package standin

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Patience bounds every wait, and how long a supervisor may run.
const Patience = 30 * time.Second

// Bin makes a directory in which the test binary has the names of the services and those given.
func Bin(t *testing.T, names ...string) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	for _, name := range append(names, "router", "worker", "producer") {
		require.NoError(t, os.Symlink(self, filepath.Join(dir, name)))
	}
	return dir
}

// Supervisor is a program that runs a stack, as a process of its own.
type Supervisor struct {
	Cmd    *exec.Cmd
	ErrOut *bytes.Buffer
	Seen   []string // its output, as far as it was read

	t      *testing.T
	output *bufio.Scanner
}

// Start starts a program, which is killed when Patience runs out or the test ends.
func Start(t *testing.T, path string, args ...string) *Supervisor {
	t.Helper()
	s := &Supervisor{t: t, Cmd: exec.Command(path, args...), ErrOut: new(bytes.Buffer)}
	out, err := s.Cmd.StdoutPipe()
	require.NoError(t, err)
	s.Cmd.Stderr = s.ErrOut
	s.output = bufio.NewScanner(out)
	require.NoError(t, s.Cmd.Start())
	timer := time.AfterFunc(Patience, func() { _ = s.Cmd.Process.Kill() })
	t.Cleanup(func() {
		timer.Stop()
		_ = s.Cmd.Process.Kill()
		_ = s.Cmd.Wait()
	})
	return s
}

// Await reads output until a line holds text, and returns that line.
func (s *Supervisor) Await(text string) string {
	s.t.Helper()
	for s.output.Scan() {
		s.Seen = append(s.Seen, s.output.Text())
		if strings.Contains(s.output.Text(), text) {
			return s.output.Text()
		}
	}
	_ = s.Cmd.Wait() // fills ErrOut
	require.FailNow(s.t, "ended without saying "+text, "stdout: %s\nstderr: %s", strings.Join(s.Seen, "\n"), s.ErrOut)
	return ""
}

// Signal signals it.
func (s *Supervisor) Signal(sig os.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.Cmd.Process.Signal(sig))
}

// ExitCode reads the rest of the output and waits for the end.
func (s *Supervisor) ExitCode() int {
	for s.output.Scan() {
		s.Seen = append(s.Seen, s.output.Text())
	}
	_ = s.Cmd.Wait()
	return s.Cmd.ProcessState.ExitCode()
}

// NotIgnored makes processes that the test starts not ignore a signal, though the test may.
func NotIgnored(t *testing.T, sig os.Signal) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, sig)
	t.Cleanup(func() { signal.Stop(signals) })
}
