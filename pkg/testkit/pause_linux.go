package testkit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Pause stops the server as one that hangs (SIGSTOP): its connections stay, and nothing is answered from its return on.
func (n *NATSNode) Pause(t testing.TB) {
	t.Helper()
	n.proc.pause(t, n.Name)
}

// Resume lets a paused server go on.
func (n *NATSNode) Resume(t testing.TB) {
	t.Helper()
	n.proc.resume(t)
}

// Pause stops the server as one that hangs (SIGSTOP): its connections stay, and nothing is answered from its return on.
func (r *RedisServer) Pause(t testing.TB) {
	t.Helper()
	r.proc.pause(t, r.Addr)
}

// Resume lets a paused server go on.
func (r *RedisServer) Resume(t testing.TB) {
	t.Helper()
	r.proc.resume(t)
}

func (p *process) pause(t testing.TB, name string) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGSTOP))
	require.Eventually(t, p.stopped, readyTimeout, time.Millisecond, "%s still runs", name)
}

func (p *process) resume(t testing.TB) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGCONT))
}

// stopped tells whether all threads of the process are stopped.
func (p *process) stopped() bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	for _, task := range tasks {
		stat, gone := os.ReadFile(task)
		if _, state, ok := bytes.Cut(stat, []byte(") ")); gone == nil && (!ok || state[0] != 'T') {
			return false
		}
	}
	return err == nil && len(tasks) > 0
}
