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
	require.NoError(t, n.proc.cmd.Process.Signal(syscall.SIGSTOP))
	require.Eventually(t, n.stopped, readyTimeout, time.Millisecond, "%s still runs", n.Name)
}

// stopped tells whether all threads of the process are stopped.
func (n *NATSNode) stopped() bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", n.proc.cmd.Process.Pid))
	for _, task := range tasks {
		stat, gone := os.ReadFile(task)
		if _, state, ok := bytes.Cut(stat, []byte(") ")); gone == nil && (!ok || state[0] != 'T') {
			return false
		}
	}
	return err == nil && len(tasks) > 0
}

// Resume lets a paused server go on.
func (n *NATSNode) Resume(t testing.TB) {
	t.Helper()
	require.NoError(t, n.proc.cmd.Process.Signal(syscall.SIGCONT))
}
