package cli

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/command"
	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/deployments/local/standin"
	"example.com/lockstep/pkg/stackfile"
	"example.com/lockstep/pkg/testkit"
)

// built builds local and the services.
func built(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("did not run: -short, and it builds every program")
	}
	return programs.Build(t)
}

func TestBuiltStack(t *testing.T) {
	local := filepath.Join(built(t), "local")

	t.Run("demo", func(t *testing.T) {
		tmp := t.TempDir()
		t.Setenv("TMPDIR", tmp)
		s := standin.Start(t, local, "demo", "--redis=embedded", "--rate=2000", "--duration=2s", "--keys=100", "--distribution=zipf:1")
		require.Contains(t, s.Await("kill -STOP"), ": router-1")
		require.Contains(t, s.Await("kill -9"), "the owner of ")
		s.Await("FLUSHALL of miniredis")
		s.Await("verdict: pass")
		require.Equal(t, command.ExitOK, s.ExitCode(), s.ErrOut)
		left, err := os.ReadDir(tmp)
		require.NoError(t, err)
		require.Empty(t, left)
	})

	t.Run("demo-parking", func(t *testing.T) {
		tmp := t.TempDir()
		t.Setenv("TMPDIR", tmp)
		s := standin.Start(t, local, "demo-parking", "--redis=embedded", "--rate=2000", "--duration=1s", "--keys=200", "--poison=0.02",
			"--worker-flag=--attempts=2")
		require.Contains(t, s.Await("The load says:"), "all other keys went on")
		require.Contains(t, s.Await("waiting for an operator"), "4 keys have a list, and 4 of these lists are parked, complete and in order")
		require.Regexp(t, `-49 +parked +`, s.Await("-49 "))
		require.Contains(t, s.Await("worker-1 runs again"), "pid")
		s.Await("retry of 4 keys with ")
		s.Await("verdict: pass")
		require.Equal(t, command.ExitOK, s.ExitCode(), s.ErrOut)
		require.NotContains(t, strings.Join(s.Seen, "\n"), "set aside  ", "nothing waits any more")
		left, err := os.ReadDir(tmp)
		require.NoError(t, err)
		require.Empty(t, left)
	})

	t.Run("killed supervisor", func(t *testing.T) {
		dir := t.TempDir()
		s := standin.Start(t, local, "up", "--dir="+dir)
		s.Await("ready after")
		status, err := exec.Command(local, "status", "--dir="+dir).CombinedOutput()
		require.NoError(t, err, string(status))
		require.Contains(t, string(status), "16 shards on 1 lane")
		require.Contains(t, string(status), "worker-2")
		f, err := stackfile.Read(dir)
		require.NoError(t, err)
		require.Subset(t, names(f), []string{"router-1", "worker-1", "worker-2"})

		awaitAllGone := watchChildren(t, dir)
		s.Signal(syscall.SIGKILL)
		awaitAllGone()
		again := standin.Start(t, local, "up", "--dir="+dir)
		again.Await("ready after")
		again.Signal(syscall.SIGTERM)
		require.Equal(t, command.ExitOK, again.ExitCode(), again.ErrOut)
	})
}

// A password in --redis appears only in the environment of the processes: not in the output, their arguments or a file.
func TestPasswordOfRedisIsNotShown(t *testing.T) {
	const secret = "s3c,ret"
	bin := built(t)
	redis := testkit.RedisProcess(t, testkit.WithArgs("--requirepass", secret))
	dir := filepath.Join(t.TempDir(), "stack")
	s := standin.Start(t, filepath.Join(bin, "local"), "up", "--dir="+dir, "--redis=redis://default:"+secret+"@"+redis.Addr,
		"--worker-flag=--log-level=debug", "--router-flag=--log-level=debug")
	require.Regexp(t, `Redis +redis://default:\*\*\*@`+regexp.QuoteMeta(redis.Addr), s.Await("(your Redis)"))
	s.Await("stop  Ctrl-C")

	f, err := stackfile.Read(dir)
	require.NoError(t, err)
	require.Equal(t, "redis://default:***@"+redis.Addr, f.Redis)
	for _, p := range f.Processes {
		args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
		require.NoError(t, err)
		require.NotContains(t, string(args), secret, p.Name)
		for _, path := range []string{"/metrics", "/readyz", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2"} {
			require.NotContains(t, fetched(t, "http://"+p.Admin+path), secret)
		}
	}
	status, err := exec.Command(filepath.Join(bin, "local"), "status", "--dir="+dir).CombinedOutput()
	require.NoError(t, err, string(status))
	require.NotContains(t, string(status), secret)
	s.Signal(syscall.SIGTERM)
	require.Equal(t, command.ExitOK, s.ExitCode(), s.ErrOut)
	require.NotContains(t, strings.Join(s.Seen, "\n")+s.ErrOut.String(), secret)
	read := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		require.NotContains(t, string(text), secret, path)
		read++
		return err
	}))
	require.Greater(t, read, 4)
}

func fetched(t *testing.T, url string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}
