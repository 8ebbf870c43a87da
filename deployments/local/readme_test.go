package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/stackfile"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// TestREADME runs the commands of the README's shell blocks, in their order, as a newcomer would.
func TestREADME(t *testing.T) {
	n := newNewcomer(t)
	require.GreaterOrEqual(t, n.follow(t, "README.md"), 9)
}

// TestLoadGuide runs those of the guide to loads, on a stack.
func TestLoadGuide(t *testing.T) {
	n := newNewcomer(t)
	n.run(t, "go tool task up")
	require.GreaterOrEqual(t, n.follow(t, "docs/load.md"), 9)
	n.command(t, "go tool task down")
	require.NoError(t, n.up.Wait())
	n.up = nil
}

func newNewcomer(t *testing.T) *newcomer {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	// Inside the repository, for `go tool task` looks upwards for the workspace.
	// A shell would make of its name something else.
	dir, err := os.MkdirTemp(root, ".readme-test-$HOME `x` ")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	n := &newcomer{root: root, dir: dir}
	t.Cleanup(n.cleanUp)
	return n
}

// follow runs the commands of a document's shell blocks and returns how many there were.
func (n *newcomer) follow(t *testing.T, document string) int {
	text, err := os.ReadFile(filepath.Join(n.root, document))
	require.NoError(t, err)
	ran := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			if line = strings.TrimSpace(line); line != "" {
				t.Logf("$ %s", line)
				n.run(t, line)
				ran++
			}
		}
	}
	return ran
}

type newcomer struct {
	root, dir string
	up        *exec.Cmd
	app       string   // as the README has asked for it
	after     []string // commands that end the stack, kept until those that need one have run
}

var taskOut = regexp.MustCompile(` OUT=(\S+)`)

var natsReq = regexp.MustCompile(`^nats req (\S+) '(.*)'$`)

func (n *newcomer) run(t *testing.T, line string) {
	req := natsReq.FindStringSubmatch(line)
	switch {
	case line == "go tool task test":
		ci, err := os.ReadFile(filepath.Join(n.root, ".ci/run"))
		require.NoError(t, err)
		require.Contains(t, string(ci), line, "this test is part of it, so here it is enough that CI runs it")
	case line == "go tool task up":
		n.start(t, line)
	case line == "go tool task down":
		n.after = append(n.after, line)
	case line == "go tool task clean":
		n.after = append(n.after, line)
	case line == "app=$(go tool task app)":
		n.app = strings.TrimSpace(n.command(t, "go tool task app"))
	case strings.HasPrefix(line, "go tool task "):
		out := n.command(t, line)
		if strings.Contains(line, " load") || strings.Contains(line, " demo") {
			require.Contains(t, out, "verdict: pass")
		}
		if strings.Contains(line, " load") {
			var report struct{ Verdict string }
			file := "report.json"
			if out := taskOut.FindStringSubmatch(line); out != nil {
				file = out[1]
			}
			require.FileExists(t, filepath.Join(n.dir, strings.TrimSuffix(file, ".json")+".html"))
			b, err := os.ReadFile(filepath.Join(n.dir, file))
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(b, &report))
			require.Equal(t, "pass", report.Verdict)
		}
	case req != nil:
		n.request(t, strings.Replace(req[1], "$app.", n.app+".", 1), req[2])
	default:
		t.Fatalf("the README has a command this test does not know: %s", line)
	}
	if req != nil && strings.Contains(line, "query") { // the last that needs the stack
		for _, line := range n.after {
			n.command(t, line)
		}
		require.NoError(t, n.up.Wait())
		n.up = nil
		require.NoDirExists(t, filepath.Join(n.dir, ".stack"))
	}
}

// shell makes a command of a line, in the newcomer's directory and environment.
func (n *newcomer) shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir = n.dir
	cmd.Env = append(os.Environ(), "GOWORK=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	return cmd
}

func (n *newcomer) command(t *testing.T, line string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	out, err := n.shell(ctx, line).CombinedOutput()
	require.NoErrorf(t, err, "%s\n%s", line, out)
	return string(out)
}

// start runs the stack and returns when it says that it is ready.
func (n *newcomer) start(t *testing.T, line string) {
	n.up = n.shell(context.Background(), line)
	var seen bytes.Buffer
	r, w, err := os.Pipe()
	require.NoError(t, err)
	n.up.Stdout, n.up.Stderr = w, w
	require.NoError(t, n.up.Start())
	require.NoError(t, w.Close())
	ready := make(chan struct{})
	go func() {
		defer func() { _ = r.Close() }()
		said := false
		for s := bufio.NewScanner(r); s.Scan(); {
			if !said {
				seen.WriteString(s.Text() + "\n")
			}
			if !said && strings.Contains(s.Text(), "ready") {
				said = true
				close(ready)
			}
		}
		if !said {
			close(ready)
		}
	}()
	<-ready
	require.Contains(t, seen.String(), "ready")
}

// request does what `nats req` does.
func (n *newcomer) request(t *testing.T, subject, body string) {
	file, err := stackfile.Read(filepath.Join(n.dir, ".stack"))
	require.NoError(t, err)
	nc, err := nats.Connect(file.NATS)
	require.NoError(t, err)
	defer nc.Close()
	ask := func() *nats.Msg {
		m, err := nc.Request(subject, []byte(body), 5*time.Second)
		require.NoError(t, err)
		require.True(t, json.Valid(m.Data), "%s", m.Data)
		require.NotContains(t, string(m.Data), "error")
		require.Empty(t, m.Header.Get("Nats-Service-Error"))
		return m
	}
	if strings.HasSuffix(subject, ".query") { // the event before it may still be on its way
		require.Eventually(t, func() bool { return strings.Contains(string(ask().Data), `"found":true`) }, 5*time.Second, 10*time.Millisecond)
		return
	}
	require.Contains(t, string(ask().Data), `"stream":"`+topology.StreamName(appname.Default, 1, 0)+`"`)
}

func (n *newcomer) cleanUp() {
	if n.up != nil && n.up.Process != nil {
		_ = syscall.Kill(-n.up.Process.Pid, syscall.SIGTERM)
		_ = n.up.Wait()
	}
}
