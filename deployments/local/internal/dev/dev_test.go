package dev

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/stackfile"
)

// TestDev edits a copy of this repository under load. A handler's edit restarts the workers alone, one that does not compile or
// does not run leaves a worker that works, and no event is lost.
func TestDev(t *testing.T) {
	if testing.Short() {
		t.Skip("did not run: -short, and it builds every program")
	}
	c := newCheckout(t)
	d := programs.Start(t, exec.Command(filepath.Join(c.bin, "local"), "dev", "--dir="+c.stack, "--bin="+c.bin))
	d.Await("ready after")
	d.End.Reset(10 * programs.Patience)
	d.Await("watching " + c.root)
	start := c.pids(t)
	load := programs.StartLoad(t, c.bin, c.stack, "--rate=1000", "--duration=1h", "--keys=100")
	load.End.Reset(10 * programs.Patience)
	load.Await(programs.Sending)
	handler := filepath.Join(c.root, "services/worker/handler.go")

	c.append(t, handler, "func init() { println(\"the first edit\") }\n")
	d.Await("built worker in")
	d.Await("worker-1 runs again")
	d.Await("worker-2 runs again")
	first := c.pids(t)
	require.NotEqual(t, start["worker-1"], first["worker-1"])
	require.NotEqual(t, start["worker-2"], first["worker-2"])
	require.Equal(t, start["router-1"], first["router-1"], "it does not depend on the handler")
	require.Contains(t, c.log(t, "worker-1"), "the first edit")

	mend := c.append(t, handler, "func {\n")
	d.Await("worker does not compile, its processes go on as they are:")
	d.Await("handler.go:")
	require.Equal(t, first, c.pids(t))
	mend()

	mend = c.append(t, handler, "func init() { panic(\"the second edit\") }\n")
	d.Await("built worker in")
	d.Await("worker-1 ended (exit status 2")
	require.Equal(t, first["worker-2"], c.pids(t)["worker-2"], "it goes on with the program that works")
	mend()
	d.Await("built worker in")
	d.Await("worker-2 runs again")
	second := c.pids(t)
	require.NotEqual(t, first["worker-1"], second["worker-1"])

	c.append(t, filepath.Join(c.root, "pkg/route/command.go"), "func init() { println(\"the third edit\") }\n")
	d.Await("built router in")
	d.Await("router-1 runs again")
	require.Eventually(t, func() bool { return strings.Contains(c.log(t, "router-1"), "the third edit") }, programs.Patience, 10*time.Millisecond)
	require.Equal(t, second["worker-1"], c.pids(t)["worker-1"], "it does not depend on the router")

	load.Interrupt()
	load.Passed()
	d.Signal(syscall.SIGTERM)
	require.Zero(t, d.ExitCode(), strings.Join(d.Seen, "\n"))
	left, err := filepath.Glob(filepath.Join(c.bin, ".dev-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// checkout is a copy of this repository's modules, with built programs.
type checkout struct{ root, bin, stack string }

func newCheckout(t *testing.T) *checkout {
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	c := &checkout{root: root, bin: filepath.Join(root, "bin"), stack: filepath.Join(t.TempDir(), "stack")}
	from := programs.InRoot(t, ".")
	for _, dir := range []string{"pkg", "services", "deployments", "tools"} {
		require.NoError(t, os.CopyFS(filepath.Join(root, dir), os.DirFS(filepath.Join(from, dir))))
	}
	for _, file := range []string{"go.work", "go.work.sum"} {
		text, err := os.ReadFile(filepath.Join(from, file))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(root, file), text, 0o600))
	}
	t.Setenv("GOWORK", filepath.Join(root, "go.work"))
	build := exec.Command("go", "build", "-o", c.bin+"/", "./services/router", "./services/worker", "./services/producer", "./deployments/local")
	build.Dir = root
	text, err := build.CombinedOutput()
	require.NoError(t, err, string(text))
	return c
}

// append adds text to a file. mend takes it away again.
func (c *checkout) append(t *testing.T, file, text string) (mend func()) {
	t.Helper()
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	write := func(content []byte) {
		t.Helper()
		require.NoError(t, os.WriteFile(file, content, 0o600))
	}
	write(slices.Concat(before, []byte(text)))
	return func() { write(before) }
}

// pids returns the process ids by the processes' names.
func (c *checkout) pids(t *testing.T) map[string]int {
	t.Helper()
	f, err := stackfile.Read(c.stack)
	require.NoError(t, err)
	pids := make(map[string]int)
	for _, p := range f.Processes {
		pids[p.Name] = p.PID
	}
	return pids
}

func (c *checkout) log(t *testing.T, process string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.stack, "logs", process+".log"))
	require.NoError(t, err)
	return string(text)
}
