package cli

import (
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/command"
	"example.com/lockstep/deployments/local/standin"
	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/stackfile"
	"example.com/lockstep/pkg/testkit"
)

func TestUpAndDown(t *testing.T) {
	t.Setenv(appname.EnvPrefix+"_APP", "stray")
	dir := filepath.Join(t.TempDir(), "a $HOME stack")
	s := startUp(t, dir, "--workers=2", "--routers=2", "--shards=8", "--lanes=2", "--app=shop",
		"--router-flag=--history-age=2h", "--worker-flag=--log-level=debug")
	awaitAllGone := watchChildren(t, dir)

	f, err := stackfile.Read(dir)
	require.NoError(t, err)
	require.Equal(t, s.Cmd.Process.Pid, f.PID)
	require.Equal(t, "shop", f.App)
	require.Equal(t, []string{"router-1", "router-2", "worker-1", "worker-2"}, names(f))

	router, worker := ask(t, process(t, dir, "router-1")), ask(t, process(t, dir, "worker-2"))
	require.Subset(t, router.Args, []string{"--shards=8", "--lanes=2", "--app=shop", "--pprof", "--history-age=2h"})
	require.Subset(t, worker.Args, []string{"--app=shop", "--pprof", "--log-level=debug"})
	require.Equal(t, []string{appname.EnvPrefix + "_NATS=" + f.NATS}, ours(router.Env))
	require.Equal(t, []string{appname.EnvPrefix + "_NATS=" + f.NATS, appname.EnvPrefix + "_REDIS=" + f.Redis}, ours(worker.Env), "and nothing of our own environment")

	code, out, _ := local("down", "--dir="+dir)
	require.Equal(t, command.ExitOK, code)
	require.Contains(t, out, "has stopped")
	awaitAllGone()
	require.Equal(t, command.ExitOK, s.ExitCode(), s.ErrOut)
	require.Contains(t, strings.Join(s.Seen, "\n"), "go tool task down DIR='"+dir+"'\n", "it can be copied to a shell")
	require.NoFileExists(t, filepath.Join(dir, "stack.json"))

	code, out, _ = local("down", "--dir="+dir)
	require.Equal(t, command.ExitOK, code, "it is no error if none is up")
	require.Contains(t, out, "no stack is up")
}

// ours returns the variables that set flags.
func ours(env []string) []string {
	return slices.DeleteFunc(env, func(entry string) bool { return !strings.HasPrefix(entry, appname.EnvPrefix+"_") })
}

func TestUpWithRedisAtASocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "redis.sock")
	testkit.RedisProcess(t, testkit.WithArgs("--unixsocket", socket))
	dir := t.TempDir()
	s := startUp(t, dir, "--redis=unix://"+socket)
	f, err := stackfile.Read(dir)
	require.NoError(t, err)
	require.Equal(t, "unix://"+socket, f.Redis)
	require.Contains(t, ask(t, process(t, dir, "worker-1")).Env, appname.EnvPrefix+"_REDIS=unix://"+socket)
	s.Signal(syscall.SIGTERM)
	require.Equal(t, command.ExitOK, s.ExitCode(), s.ErrOut)
}

func TestSecondUpIsRefused(t *testing.T) {
	dir := t.TempDir()
	startUp(t, dir)
	code, _, errOut := local("up", "--dir="+dir, "--bin="+standin.Bin(t, "local"))
	require.Equal(t, command.ExitError, code)
	require.Regexp(t, `^local: a stack is already up in .* \(pid \d+\)\n$`, errOut)

	code, _, errOut = local("clean", "--dir="+dir)
	require.Equal(t, command.ExitError, code)
	require.Contains(t, errOut, "a stack is already up")
	require.FileExists(t, filepath.Join(dir, "stack.json"))
}

func TestKilledSupervisorLeavesNoChild(t *testing.T) {
	dir := t.TempDir()
	s := startUp(t, dir, "--worker-flag=--fake=deaf")
	awaitAllGone := watchChildren(t, dir)
	s.Signal(syscall.SIGKILL)
	awaitAllGone()
	require.Equal(t, -1, s.ExitCode())

	require.FileExists(t, filepath.Join(dir, "stack.json"), "nobody could remove it")
	_, err := stackfile.Read(dir)
	require.ErrorIs(t, err, stackfile.ErrNoStack, "but it is known to be stale")
	code, out, _ := local("down", "--dir="+dir)
	require.Equal(t, command.ExitOK, code)
	require.Contains(t, out, "no stack is up")
	startUp(t, dir)
}

// As after nohup: the stack outlives the terminal.
func TestIgnoredHangupStaysIgnored(t *testing.T) {
	dir := t.TempDir()
	programs := standin.Bin(t, "local")
	s := standin.Start(t, "/bin/sh", "-c", `trap "" HUP; exec "$@"`, "sh", filepath.Join(programs, "local"),
		"up", "--dir="+dir, "--bin="+programs, "--redis=embedded")
	s.Await("ready after")
	s.Signal(syscall.SIGHUP)
	s.Signal(syscall.SIGTERM)
	s.Await("stopping (got SIGTERM)")
	require.Equal(t, command.ExitOK, s.ExitCode(), s.ErrOut)
}

func TestHangupStopsInOrder(t *testing.T) {
	standin.NotIgnored(t, syscall.SIGHUP)
	dir := t.TempDir()
	s := startUp(t, dir)
	awaitAllGone := watchChildren(t, dir)
	s.Signal(syscall.SIGHUP)
	s.Await("stopping (got SIGHUP)")
	awaitAllGone()
	require.Equal(t, command.ExitOK, s.ExitCode(), s.ErrOut)
	require.NoFileExists(t, filepath.Join(dir, "stack.json"))
}

func TestSecondSignalKillsAll(t *testing.T) {
	dir := t.TempDir()
	s := startUp(t, dir, "--workers=1", "--worker-flag=--fake=deaf", "--router-flag=--fake=deaf")
	awaitAllGone := watchChildren(t, dir)
	s.Signal(syscall.SIGTERM)
	s.Await("stopping (got SIGTERM)")
	s.Signal(syscall.SIGTERM)
	awaitAllGone()
	require.Equal(t, command.ExitError, s.ExitCode())
	require.Contains(t, s.ErrOut.String(), "router-1 did not stop in time and was killed")
}

func TestStackEndsWithItsParentAndItsTerminal(t *testing.T) {
	dir := t.TempDir()
	programs := standin.Bin(t, "local")
	shell := standin.Start(t, "/bin/sh", "-c", `"$@" & wait`, "sh", filepath.Join(programs, "local"),
		"up", "--stop-with-parent", "--dir="+dir, "--bin="+programs, "--redis=embedded")
	shell.Await("ready after")
	awaitAllGone := watchChildren(t, dir)
	lock, err := os.Open(filepath.Join(dir, "lock"))
	require.NoError(t, err)
	defer lock.Close()

	shell.Signal(syscall.SIGKILL)
	shell.Cmd.Wait() // closes our end of its output: each further line raises SIGPIPE
	awaitAllGone()
	require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_SH), "wait until the stack has ended")
	require.NoFileExists(t, filepath.Join(dir, "stack.json"), "it stopped in order")
}

func TestChildThatDiesIsStartedAgain(t *testing.T) {
	dir := t.TempDir()
	s := startUp(t, dir)
	before, err := stackfile.Read(dir)
	require.NoError(t, err)
	killed := process(t, dir, "worker-1")
	require.NoError(t, syscall.Kill(killed.PID, syscall.SIGKILL))
	require.Equal(t, "worker-1 ended (signal: killed, last line: serving)", strings.Split(s.Await("ended"), ";")[0])
	s.Await("worker-1 runs again")

	after, err := stackfile.Read(dir)
	require.NoError(t, err)
	require.Equal(t, names(before), names(after))
	require.NotEqual(t, killed.PID, process(t, dir, "worker-1").PID)
}

func TestRedisServerIsStartedAgain(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("did not run: redis-server is not on PATH")
	}
	dir := t.TempDir()
	s := startUp(t, dir, "--redis=auto")
	before := process(t, dir, "redis")
	require.NoError(t, syscall.Kill(before.PID, syscall.SIGKILL))
	s.Await("redis ended (signal: killed")
	s.Await("redis runs again")
	s.Signal(syscall.SIGTERM)
	require.Equal(t, command.ExitOK, s.ExitCode(), s.ErrOut)
	require.FileExists(t, filepath.Join(dir, "redis", "appendonlydir", "appendonly.aof.manifest"))
	requirePrivate(t, filepath.Join(dir, "redis"))
	requirePrivate(t, filepath.Join(dir, "logs"))
}

// requirePrivate requires that other users cannot read the files in a directory.
func requirePrivate(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		require.Zero(t, info.Mode().Perm()&0o077, path)
		return err
	}))
}

func TestChildThatCannotStart(t *testing.T) {
	programs := standin.Bin(t, "local")
	s := standin.Start(t, filepath.Join(programs, "local"), "up", "--dir="+t.TempDir(), "--bin="+programs,
		"--redis=embedded", "--workers=1", "--worker-flag=--fake=exit")
	require.Equal(t, command.ExitError, s.ExitCode())
	require.Equal(t, "local: worker-1 does not start: exit status 3, last line: cannot do it\n", s.ErrOut.String())
}

func TestUpRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	programs := standin.Bin(t, "local")
	absent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, absent.Close())

	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"port taken": {[]string{"--nats-port=" + port, "--redis=embedded"}, command.ExitError, "port " + port + " for NATS is taken"},
		"no port":    {[]string{"--nats-port=70000"}, command.ExitUsage, "--nats-port=70000 is no port"},
		"directory in a file": {[]string{"--dir=" + filepath.Join(file, "stack")}, command.ExitError,
			"cannot use the stack directory " + file + "/stack: not a directory"},
		"foreign directory": {[]string{"--dir=" + filepath.Dir(file)}, command.ExitError, "not a stack directory"},
		"no programs":       {[]string{"--bin=" + filepath.Dir(file)}, command.ExitError, "there is no program"},
		"Redis absent":      {[]string{"--redis=" + absent.Addr().String()}, command.ExitError, "cannot reach Redis: dial tcp " + absent.Addr().String()},
		"Redis nonsense":    {[]string{"--redis=there"}, command.ExitError, "cannot reach Redis: --redis: want HOST:PORT or a redis:// URL, auto or embedded"},
		"Redis secret":      {[]string{"--redis=appinfo:s3cret@there"}, command.ExitError, "cannot reach Redis: --redis: want HOST:PORT"},
		"Redis secret URL":  {[]string{"--redis=redis://appinfo:s3c/ret@there"}, command.ExitError, "cannot reach Redis: --redis: not a valid URL"},
		"no workers":        {[]string{"--workers=0"}, command.ExitError, "workers is 0"},
		"app":               {[]string{"--app=Shop"}, command.ExitError, `app "Shop"`},
		"shards":            {[]string{"--shards=100000"}, command.ExitError, "shards is 100000 and must be at most 4096"},
		"more lanes":        {[]string{"--lanes=17"}, command.ExitError, `lanes is "17"`},
		"lanes":             {[]string{"--lanes=few"}, command.ExitError, `lanes is "few"`},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"up", "--bin=" + programs, "--dir=" + filepath.Join(t.TempDir(), "stack")}, test.args...)
			code, _, errOut := local(args...)
			require.Equal(t, test.code, code, errOut)
			require.Contains(t, errOut, test.want)
			require.NotContains(t, errOut, "s3c")
			require.Equal(t, 1, strings.Count(errOut, "\n"), "one line: %s", errOut)
		})
	}
}

func TestUsualPortTaken(t *testing.T) {
	if l, err := net.Listen("tcp", "127.0.0.1:4222"); err == nil {
		defer l.Close() // else another program has the port, which is as good
	}
	s := startUp(t, t.TempDir())
	require.Contains(t, strings.Join(s.Seen, "\n"), "port 4222 is taken, NATS listens on")
}

func TestClean(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "stack")
	s := startUp(t, dir)
	s.Signal(syscall.SIGTERM)
	require.Equal(t, command.ExitOK, s.ExitCode())
	code, out, _ := local("clean", "--dir="+dir)
	require.Equal(t, command.ExitOK, code)
	require.Contains(t, out, "is gone")
	require.NoDirExists(t, dir)
}
