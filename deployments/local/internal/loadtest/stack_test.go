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

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/stackfile"
)

// stack is a running stack with two workers.
type stack struct {
	dir      string
	file     stackfile.File
	services string // where the producer is
	nats     *nats.Conn
	query    *query.Client
}

const workers = 2

// up starts a stack with the services of one directory and the other programs in bin. It stops when the test ends.
func up(t *testing.T, bin, services string, flags ...string) *stack {
	t.Helper()
	s := &stack{dir: filepath.Join(t.TempDir(), "stack"), services: services}
	p := programs.Start(t, exec.Command(filepath.Join(bin, "local"), append([]string{"up", "--dir=" + s.dir, "--bin=" + services}, flags...)...))
	t.Cleanup(func() {
		p.End.Reset(programs.Patience)
		p.Signal(syscall.SIGTERM)
		require.Zero(t, p.ExitCode(), p.Seen)
	})
	p.Await("ready after")
	p.End.Stop() // it stays up for as long as the test takes
	var err error
	s.file, err = stackfile.Read(s.dir)
	require.NoError(t, err)
	s.nats, err = nats.Connect(s.file.NATS)
	require.NoError(t, err)
	t.Cleanup(s.nats.Close)
	s.query = query.NewClient(s.nats, s.file.App)
	return s
}

// load starts a load on the stack.
func (s *stack) load(t *testing.T, flags ...string) *programs.Load {
	t.Helper()
	return programs.StartLoad(t, s.services, s.dir, flags...)
}

// process returns a process of the stack by its name.
func (s *stack) process(t *testing.T, name string) stackfile.Process {
	t.Helper()
	i := slices.IndexFunc(s.file.Processes, func(p stackfile.Process) bool { return p.Name == name })
	require.GreaterOrEqual(t, i, 0)
	return s.file.Processes[i]
}

// answers is how long the workers may take to answer. Callers ask again when an answer is missing.
const answers = 100 * time.Millisecond

// status returns the status of both workers.
func (s *stack) status(t *testing.T) []query.Worker {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), programs.Patience)
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

// pause pauses both workers; 0 ends the pause.
func (s *stack) pause(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), programs.Patience)
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
