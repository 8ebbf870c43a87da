package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/internal/stackdir"
)

// realPrograms builds local and the services, each in its own module.
func realPrograms(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("did not run: -short, and it builds every program")
	}
	dir := t.TempDir()
	root, err := filepath.Abs("../../../..")
	require.NoError(t, err)
	for _, module := range []string{"services/router", "services/worker", "services/producer", "deployments/local"} {
		out, err := exec.Command("go", "build", "-C", filepath.Join(root, module), "-o", dir+"/", ".").CombinedOutput()
		require.NoError(t, err, "build %s: %s", module, out)
	}
	return dir
}

func TestRealStack(t *testing.T) {
	programs := realPrograms(t)
	local := filepath.Join(programs, "local")

	t.Run("demo", func(t *testing.T) {
		tmp := t.TempDir()
		t.Setenv("TMPDIR", tmp)
		s := start(t, local, "demo", "--redis=embedded", "--rate=2000", "--duration=2s", "--keys=100", "--distribution=zipf:1")
		require.Contains(t, s.await("kill -9"), "the owner of ")
		s.await("verdict: pass")
		require.Equal(t, exitOK, s.exitCode(), s.errOut)
		left, err := os.ReadDir(tmp)
		require.NoError(t, err)
		require.Empty(t, left)
	})

	t.Run("killed supervisor", func(t *testing.T) {
		dir := t.TempDir()
		s := start(t, local, "up", "--dir="+dir)
		s.await("ready after")
		status, err := exec.Command(local, "status", "--dir="+dir).CombinedOutput()
		require.NoError(t, err, string(status))
		require.Contains(t, string(status), "16 shards on 1 lane")
		require.Contains(t, string(status), "worker-2")
		f, err := stackdir.Read(dir)
		require.NoError(t, err)
		require.Subset(t, names(f), []string{"router-1", "worker-1", "worker-2"})

		awaitAllGone := mourners(t, dir)
		s.signal(syscall.SIGKILL)
		awaitAllGone()
		again := start(t, local, "up", "--dir="+dir)
		again.await("ready after")
		again.signal(syscall.SIGTERM)
		require.Equal(t, exitOK, again.exitCode(), again.errOut)
	})
}
