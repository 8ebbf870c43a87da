package loadtest

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/internal/stackdir"
	"example.com/lockstep/pkg/query"
)

// build builds local and the services, each in its own module, and returns where they are.
func build(t *testing.T) (programs string) {
	t.Helper()
	programs = t.TempDir()
	for _, module := range []string{"services/router", "services/worker", "services/producer", "deployments/local"} {
		buildModule(t, module, programs)
	}
	return programs
}

func buildModule(t *testing.T, module, into string, flags ...string) {
	t.Helper()
	args := append([]string{"build", "-C", inRoot(t, module), "-ldflags=-s -w", "-o", into + "/"}, flags...)
	out, err := exec.Command("go", append(args, ".")...).CombinedOutput()
	require.NoError(t, err, "build %s: %s", module, out)
}

// inRoot returns the absolute path of something in the repository.
func inRoot(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../../..", path))
	require.NoError(t, err)
	return path
}

// stack is one that is up, with two workers.
type stack struct {
	dir      string
	file     stackdir.File
	programs string // where the producer is
	nats     *nats.Conn
	query    *query.Client
}

const workers = 2

// up starts a stack of the services in bin, with the other programs. It stops when the test ends.
func up(t *testing.T, programs, bin string) *stack {
	t.Helper()
	s := &stack{dir: filepath.Join(t.TempDir(), "stack"), programs: programs}
	p := start(t, exec.Command(filepath.Join(programs, "local"), "up", "--dir="+s.dir, "--bin="+bin))
	t.Cleanup(func() {
		p.end.Reset(patience)
		p.signal(syscall.SIGTERM)
		require.Zero(t, p.exitCode(), p.seen)
	})
	p.await("ready after")
	p.end.Stop() // it stays up for as long as the test takes
	var err error
	s.file, err = stackdir.Read(s.dir)
	require.NoError(t, err)
	s.nats, err = nats.Connect(s.file.NATS)
	require.NoError(t, err)
	t.Cleanup(s.nats.Close)
	s.query = query.NewClient(s.nats, s.file.App)
	return s
}

// process returns a process of the stack by its name.
func (s *stack) process(t *testing.T, name string) stackdir.Process {
	t.Helper()
	i := slices.IndexFunc(s.file.Processes, func(p stackdir.Process) bool { return p.Name == name })
	require.GreaterOrEqual(t, i, 0)
	return s.file.Processes[i]
}

// answers bounds one round of questions to the workers: a round that comes back short is asked again.
const answers = 100 * time.Millisecond

// status returns what both workers say of themselves.
func (s *stack) status(t *testing.T) []query.Worker {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		all, err := s.query.Status(ctx, answers)
		require.NoError(t, err)
		if len(all) == workers {
			return all
		}
		require.NoError(t, ctx.Err(), "only %d workers answer", len(all))
	}
}

// pause pauses the intake of both workers; 0 lets them go on.
func (s *stack) pause(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		all, err := s.query.Pause(ctx, d, answers)
		require.NoError(t, err)
		if len(all) == workers {
			return
		}
		require.NoError(t, ctx.Err(), "only %d workers answer", len(all))
	}
}
