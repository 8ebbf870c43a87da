package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/lockstep/deployments/local/command"
	"example.com/lockstep/deployments/local/standin"
	"example.com/lockstep/pkg/stackfile"
)

// The test binary plays all programs, depending on the name it is run under: local itself and stand-ins for the services.
func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	if name == "local" {
		probe := func(context.Context, string, string) error { return nil }
		owned := func(context.Context, stackfile.File) (map[string]int, error) {
			return map[string]int{"worker-1": 5, "worker-2": 6, "worker-3": 5}, nil
		}
		out := command.Environment{Out: command.Lines(os.Stdout), Probe: probe}
		os.Exit(run(os.Args[1:], &environment{Environment: out, owned: owned}, os.Stderr))
	}
	if code, known := standin.Play(name, os.Args[1:]); known {
		os.Exit(code)
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // otherwise each process that we run takes a second to end
	goleak.VerifyTestMain(m)
}

// startUp starts a stack and waits until it is ready.
func startUp(t *testing.T, dir string, args ...string) *standin.Supervisor {
	t.Helper()
	programs := standin.Bin(t, "local")
	args = append([]string{"up", "--dir=" + dir, "--bin=" + programs, "--redis=embedded"}, args...)
	s := standin.Start(t, filepath.Join(programs, "local"), args...)
	s.Await("ready after")
	return s
}

// watchChildren returns a function that waits until every child with an admin port has ended.
func watchChildren(t *testing.T, dir string) (awaitAllGone func()) {
	t.Helper()
	f, err := stackfile.Read(dir)
	require.NoError(t, err)
	var conns []net.Conn
	for _, p := range f.Processes {
		if p.Admin != "" {
			conn, err := net.Dial("tcp", p.Admin)
			require.NoError(t, err)
			t.Cleanup(func() { conn.Close() })
			conns = append(conns, conn)
		}
	}
	require.NotEmpty(t, conns)
	return func() {
		t.Helper()
		for _, conn := range conns {
			conn.SetDeadline(time.Now().Add(standin.Patience))
			_, err := io.Copy(io.Discard, conn)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "a child outlived its supervisor")
		}
	}
}

func names(f stackfile.File) []string {
	var names []string
	for _, p := range f.Processes {
		names = append(names, p.Name)
	}
	return names
}

func ask(t *testing.T, p stackfile.Process) standin.About {
	t.Helper()
	response, err := http.Get("http://" + p.Admin + "/about")
	require.NoError(t, err)
	defer response.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	var a standin.About
	require.NoError(t, json.NewDecoder(response.Body).Decode(&a))
	return a
}

// local runs a command of the program inside the test.
func local(args ...string) (code int, out, errOut string) {
	var stdout, stderr bytes.Buffer
	code = run(args, &environment{Environment: command.Environment{Out: &stdout}}, &stderr)
	return code, stdout.String(), stderr.String()
}

func process(t *testing.T, dir, name string) stackfile.Process {
	t.Helper()
	f, err := stackfile.Read(dir)
	require.NoError(t, err)
	i := slices.IndexFunc(f.Processes, func(p stackfile.Process) bool { return p.Name == name })
	require.GreaterOrEqual(t, i, 0)
	return f.Processes[i]
}
