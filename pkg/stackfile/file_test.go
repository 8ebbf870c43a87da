package stackfile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/lockstep/pkg/appname"
	"github.com/stretchr/testify/require"
)

// The environment is there while stack.json is, and names no app that services mean anyway, and no password that is not known.
func TestEnv(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, EnvName)
	for want, f := range map[string]File{
		"_NATS=nats://h:1|_REDIS=h:2|_APP=bank|": {PID: 1, NATS: "nats://h:1", Redis: "h:2", App: "bank"},
		"_NATS=nats://h:1|_REDIS=h:2|":           {PID: 1, NATS: "nats://h:1", Redis: "h:2", App: appname.Default},
		"_NATS=nats://h:1|":                      {PID: 1, NATS: "nats://h:1", Redis: "redis://u:***@h:2", App: appname.Default},
	} {
		require.NoError(t, Write(dir, f))
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, want, strings.ReplaceAll(strings.ReplaceAll(string(text), appname.EnvPrefix, ""), "\n", "|"))
	}
	require.NoError(t, Remove(dir))
	require.NoFileExists(t, file)
}

func TestRead(t *testing.T) {
	ended := exec.Command("true")
	require.NoError(t, ended.Run())
	for name, c := range map[string]struct{ body, says string }{
		"up":           {fmt.Sprintf(`{"schema":1,"pid":%d,"nats":"nats://h:1","redis":"h:2","app":"bank","processes":[]}`, os.Getpid()), ""},
		"stale":        {fmt.Sprintf(`{"schema":1,"pid":%d,"nats":"nats://h:1","app":"bank"}`, ended.Process.Pid), "is stale"},
		"absent":       {"", "no stack is up in"},
		"not json":     {"up", "is not a stack's description"},
		"later schema": {`{"schema":3,"pid":1}`, "has schema 3, this program reads 1 to 2"},
		"no schema":    {`{"pid":1}`, "has schema 0, this program reads 1 to 2"},
		"no pid":       {`{"schema":1,"nats":"n","app":"a"}`, "lacks pid"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.body != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "stack.json"), []byte(c.body), 0o644))
			}
			s, err := Read(dir)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, File{Schema: 1, PID: os.Getpid(), NATS: "nats://h:1", Redis: "h:2", App: "bank", Processes: []Process{}}, s)
		})
	}
}

// A file of schema 1 is that of a stack with one app, whose services are all for it.
func TestProcessesHaveApps(t *testing.T) {
	for schema, processes := range map[int]string{
		1: `{"name":"redis","role":"redis","pid":3},{"name":"router-1","role":"router","pid":1,"admin":"h:3"},` +
			`{"name":"worker-1","role":"worker","pid":2,"admin":"h:4"}`,
		2: `{"name":"redis","role":"redis","pid":3},{"name":"router-1","role":"router","pid":1,"admin":"h:3","app":"bank"},` +
			`{"name":"worker-1","role":"worker","pid":2,"admin":"h:4","app":"bank"}`,
	} {
		dir := t.TempDir()
		body := fmt.Sprintf(`{"schema":%d,"pid":%d,"nats":"nats://h:1","app":"bank","processes":[%s]}`, schema, os.Getpid(), processes)
		require.NoError(t, os.WriteFile(filepath.Join(dir, Name), []byte(body), 0o600))
		f, err := Read(dir)
		require.NoError(t, err)
		require.Equal(t, []Process{
			{Name: "redis", Role: RoleRedis, PID: 3},
			{Name: "router-1", Role: RoleRouter, PID: 1, Admin: "h:3", App: "bank"},
			{Name: "worker-1", Role: RoleWorker, PID: 2, Admin: "h:4", App: "bank"},
		}, f.Processes)
		require.Equal(t, []string{"bank"}, f.Apps())
	}
}

func TestChoose(t *testing.T) {
	f := File{App: "bank", Processes: []Process{{Name: "redis"}, {App: "shop"}, {App: "bank"}, {App: "shop"}}}
	require.Equal(t, []string{"bank", "shop"}, f.Apps())
	for asked, want := range map[string]string{"": "bank", "bank": "bank", "shop": "shop"} {
		app, err := f.Choose(asked)
		require.NoError(t, err)
		require.Equal(t, want, app)
	}
	_, err := f.Choose("shops")
	require.EqualError(t, err, `the stack runs no app "shops": it runs bank, shop`)
}

func TestReadSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	_, err := Read(dir)
	require.EqualError(t, err, "no stack is up in "+dir+": start one with `go tool task up DIR="+dir+"`")
	_, err = Read("a $HOME")
	require.EqualError(t, err, "no stack is up in a $HOME: start one with `go tool task up DIR='a $HOME'`")
	t.Chdir(dir)
	_, err = Read(".stack")
	require.EqualError(t, err, "no stack is up in .stack: start one with `go tool task up`")

	_, err = Read(lock(t, "."))
	require.EqualError(t, err, fmt.Sprintf("the stack is starting or stopping: . (pid %d)", os.Getpid()))
	_, err = Read(LockName)
	require.EqualError(t, err, "the stack lock is not a directory")
}

// lock takes the directory's lock as a supervisor does, until the test ends, and returns the directory.
func lock(t *testing.T, dir string) string {
	f, err := os.Create(filepath.Join(dir, LockName))
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	_, err = fmt.Fprintln(f, os.Getpid())
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	return dir
}

func TestLockTellsWhetherTheFileIsStale(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, Write(dir, File{PID: os.Getpid(), NATS: "nats://h:1", App: "bank"}))
	_, err := Read(dir)
	require.NoError(t, err, "without a lock file the pid decides")

	require.NoError(t, os.WriteFile(filepath.Join(dir, LockName), nil, 0o600))
	_, err = Read(dir)
	require.ErrorIs(t, err, ErrNoStack, "nobody holds the lock: the pid was given to another process")

	lock(t, dir)
	_, err = Read(dir)
	require.NoError(t, err)

	require.NoError(t, Write(dir, File{PID: 1, NATS: "nats://h:1", App: "bank"}))
	_, err = Read(dir)
	require.ErrorIs(t, err, ErrNotReady, "the file is of the stack before this one")

	require.NoError(t, Remove(dir))
	_, err = Read(dir)
	require.ErrorIs(t, err, ErrNotReady)
	require.NoError(t, Remove(dir), "there is nothing to remove")
}

func TestWriteLeavesNoOtherFile(t *testing.T) {
	dir := t.TempDir()
	f := File{PID: os.Getpid(), NATS: "nats://127.0.0.1:1", Redis: "127.0.0.1:2", App: "shop",
		Processes: []Process{{Name: "worker-1", Role: RoleWorker, PID: 7, Admin: "127.0.0.1:3"}}}
	require.NoError(t, Write(dir, File{PID: 5}))
	require.NoError(t, Write(dir, f))
	got, err := Read(dir)
	require.NoError(t, err)
	f.Schema = Schema
	require.Equal(t, f, got)
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, EnvName), filepath.Join(dir, Name)}, left)
}
