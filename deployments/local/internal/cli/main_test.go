package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/lockstep/pkg/stackfile"
)

// The test binary plays all programs, by the name it is run under: local itself, and small stand-ins for the services.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "local":
		probe := func(context.Context, string, string) error { return nil }
		owned := func(context.Context, stackfile.File) (map[string]int, error) {
			return map[string]int{"worker-1": 5, "worker-2": 6, "worker-3": 5}, nil
		}
		os.Exit(run(os.Args[1:], &environment{out: &lines{to: os.Stdout}, probe: probe, owned: owned}, os.Stderr))
	case "router", "worker":
		os.Exit(fakeService(os.Args[1:]))
	case "producer":
		os.Exit(fakeProducer(os.Args[1:]))
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // else every process that we run takes a second to end
	goleak.VerifyTestMain(m)
}

func flagValue(args []string, name string) string {
	for _, arg := range args {
		if value, found := strings.CutPrefix(arg, "--"+name+"="); found {
			return value
		}
	}
	return ""
}

// fakeService serves /readyz and /about, and ends on SIGTERM. --fake=exit makes it fail, --fake=deaf ignore SIGTERM.
func fakeService(args []string) int {
	mode := flagValue(args, "fake")
	if mode == "exit" {
		fmt.Println("cannot do it")
		return 3
	}
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	http.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/about", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(about{Args: args, Env: os.Environ()})
	})
	listener, err := net.Listen("tcp", flagValue(args, "admin"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("serving")
	go http.Serve(listener, nil)
	for range terms {
		if mode != "deaf" {
			return 0
		}
	}
	return 0
}

type about struct{ Args, Env []string }

// fakeProducer waits until a worker of the stack dies, with FAKE_UNTIL=noted until that is noted, reports what FAKE_REPORT
// says and exits with FAKE_EXIT.
func fakeProducer(args []string) int {
	f, err := stackfile.Read(flagValue(args, "stack"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	died := make(chan error)
	for _, p := range f.Processes {
		if p.Role == stackfile.RoleWorker {
			go func() { died <- awaitDeath(p.Admin) }()
		}
	}
	if err := <-died; err != nil {
		fmt.Println(err)
		return 1
	}
	if os.Getenv("FAKE_UNTIL") == "noted" {
		awaitContent(flagValue(args, "annotations"))
	}
	report := os.Getenv("FAKE_REPORT")
	if report == "" {
		fmt.Println("no report today")
		return 1
	}
	if err := os.WriteFile(flagValue(args, "out"), []byte(report), 0o644); err != nil {
		fmt.Println(err)
		return 1
	}
	code, _ := strconv.Atoi(os.Getenv("FAKE_EXIT"))
	return code
}

// awaitContent returns when there is something in a file.
func awaitContent(path string) {
	for {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// awaitDeath returns when the process that listens at address is gone.
func awaitDeath(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	io.Copy(io.Discard, conn) // ends with the process, by an EOF or a reset
	return nil
}

// patience bounds every wait in these tests.
const patience = 30 * time.Second

// bin is a directory with all programs.
func bin(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	for _, name := range []string{"local", "router", "worker", "producer"} {
		require.NoError(t, os.Symlink(self, filepath.Join(dir, name)))
	}
	return dir
}

// supervisor is the program local as a process of its own.
type supervisor struct {
	t      *testing.T
	cmd    *exec.Cmd
	output *bufio.Scanner
	errOut *bytes.Buffer
	seen   []string
}

func start(t *testing.T, path string, args ...string) *supervisor {
	t.Helper()
	s := &supervisor{t: t, cmd: exec.Command(path, args...), errOut: new(bytes.Buffer)}
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	s.cmd.Stderr = s.errOut
	s.output = bufio.NewScanner(out)
	require.NoError(t, s.cmd.Start())
	timer := time.AfterFunc(patience, func() { s.cmd.Process.Kill() })
	t.Cleanup(func() {
		timer.Stop()
		s.cmd.Process.Kill()
		s.cmd.Wait()
	})
	return s
}

// startUp starts a stack and waits until it is ready.
func startUp(t *testing.T, dir string, args ...string) *supervisor {
	t.Helper()
	programs := bin(t)
	args = append([]string{"up", "--dir=" + dir, "--bin=" + programs, "--redis=embedded"}, args...)
	s := start(t, filepath.Join(programs, "local"), args...)
	s.await("ready after")
	return s
}

// await reads output until a line holds text, and returns that line.
func (s *supervisor) await(text string) string {
	s.t.Helper()
	for s.output.Scan() {
		s.seen = append(s.seen, s.output.Text())
		if strings.Contains(s.output.Text(), text) {
			return s.output.Text()
		}
	}
	require.FailNow(s.t, "ended without saying "+text, "stdout: %s\nstderr: %s", strings.Join(s.seen, "\n"), s.errOut)
	return ""
}

func (s *supervisor) signal(sig os.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(sig))
}

// exitCode reads the rest of the output and waits for the end.
func (s *supervisor) exitCode() int {
	for s.output.Scan() {
		s.seen = append(s.seen, s.output.Text())
	}
	s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}

// mourners returns a function that waits until every child with an admin port is gone.
func mourners(t *testing.T, dir string) (awaitAllGone func()) {
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
			conn.SetDeadline(time.Now().Add(patience))
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

func ask(t *testing.T, p stackfile.Process) about {
	t.Helper()
	response, err := http.Get("http://" + p.Admin + "/about")
	require.NoError(t, err)
	defer response.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	var a about
	require.NoError(t, json.NewDecoder(response.Body).Decode(&a))
	return a
}

// local runs a command of the program inside the test.
func local(args ...string) (code int, out, errOut string) {
	var stdout, stderr bytes.Buffer
	code = run(args, &environment{out: &stdout}, &stderr)
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
