package stackfile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	ended := exec.Command("true")
	require.NoError(t, ended.Run())
	for name, c := range map[string]struct{ body, says string }{
		"up":           {fmt.Sprintf(`{"schema":1,"pid":%d,"nats":"nats://h:1","redis":"h:2","app":"bank","processes":[]}`, os.Getpid()), ""},
		"stale":        {fmt.Sprintf(`{"schema":1,"pid":%d,"nats":"nats://h:1","app":"bank"}`, ended.Process.Pid), "is stale"},
		"absent":       {"", "no stack is up in"},
		"not json":     {"up", "is not a stack's description"},
		"other schema": {`{"schema":2,"pid":1}`, "has schema 2, this program reads 1"},
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

func TestWriteLeavesOneFile(t *testing.T) {
	dir := t.TempDir()
	f := File{PID: os.Getpid(), NATS: "nats://127.0.0.1:1", Redis: "127.0.0.1:2", App: "shop",
		Processes: []Process{{Name: "worker-1", Role: RoleWorker, PID: 7, Admin: "127.0.0.1:3"}}}
	require.NoError(t, Write(dir, File{PID: 5}))
	require.NoError(t, Write(dir, f))
	got, err := Read(dir)
	require.NoError(t, err)
	f.Schema = Schema
	require.Equal(t, f, got)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}
