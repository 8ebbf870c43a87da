package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// program is the built router, built once.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "router")
	if err == nil {
		program = filepath.Join(dir, "router")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build router:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

func router(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	return cmd
}

// A refusal is one line, beside those of the log, and an exit code.
func requireRefused(t *testing.T, code int, says string, args ...string) {
	t.Helper()
	cmd := router(t, args...)
	out, _ := cmd.CombinedOutput()
	require.Equal(t, code, cmd.ProcessState.ExitCode(), "%v: %s", args, out)
	var said []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "{") {
			said = append(said, line)
		}
	}
	require.Len(t, said, 1, "%s", out)
	require.True(t, strings.HasPrefix(said[0], "router: "), said[0])
	require.Contains(t, said[0], says)
}

func TestBadUsage(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"--app=UPPER", "--app"},
		{"--nats=http://h", "--nats"},
		{"--shards=0", "0 shards: must be 1 to"},
		{"--shards=99999", "99999 shards: must be 1 to"},
		{"--lanes=few", `--lanes="few"`},
		{"--lanes=0", `--lanes="0"`},
		{"--shards=4 --lanes=5", "5 lanes"},
		{"--replicas=9", "9 replicas"},
		{"--log-bytes=1GiB --history-bytes=2GiB", "--history-bytes=2GiB"},
		{"--history-age=-1h", "history"},
		{"--redis=127.0.0.1:1", "unknown flag --redis"},
	} {
		t.Run(c.args, func(t *testing.T) { requireRefused(t, 2, c.says, strings.Fields(c.args)...) })
	}
}

func TestServerThatIsAbsentOrUnsuitable(t *testing.T) {
	requireRefused(t, 1, "cannot reach NATS at nats://127.0.0.1:1", "--nats=nats://127.0.0.1:1")
	n := testkit.NATS(t)
	requireRefused(t, 1, "listen", "--nats="+n.URL, "--admin="+strings.TrimPrefix(n.URL, "nats://"))
	requireRefused(t, 2, "--max-bytes=1KiB", "--nats="+n.URL, "--max-bytes=1KiB")
	small := testkit.NATS(t, func(o *server.Options) { o.MaxPayload = 64 << 10 })
	requireRefused(t, 1, "raise max_payload", "--nats="+small.URL)
}

// The built router gets ready, says so, and ends in order at a signal.
func TestRunAndStop(t *testing.T) {
	n := testkit.NATS(t)
	cmd := router(t, "--nats="+n.URL, "--shards=3")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	address, rest := "", bufio.NewScanner(stderr)
	found := regexp.MustCompile(`"address":"([^"]+)"`)
	for rest.Scan() {
		if m := found.FindStringSubmatch(rest.Text()); m != nil {
			address = m[1]
		}
		if strings.Contains(rest.Text(), `"msg":"started"`) {
			break
		}
	}
	require.NotEmpty(t, address)
	for path, says := range map[string]string{"/readyz": `"router"`, "/healthz": "", "/metrics": "_router_shards 3"} {
		res, err := http.Get("http://" + address + path)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode, "%s: %s", path, body)
		require.Contains(t, string(body), says)
	}
	http.DefaultClient.CloseIdleConnections()
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_, err = io.Copy(io.Discard, stderr)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
}
