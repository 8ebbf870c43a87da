package stack

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
		"other schema": {`{"schema":2,"pid":1}`, "has schema 2"},
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
			require.Equal(t, Stack{Schema: 1, PID: os.Getpid(), NATS: "nats://h:1", App: "bank"}, s)
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

	lock, err := os.Create("lock")
	require.NoError(t, err)
	defer lock.Close()
	_, err = Read(dir)
	require.ErrorContains(t, err, "no stack is up", "nobody holds the lock")
	require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	_, err = Read(dir)
	require.EqualError(t, err, "the stack in "+dir+" is starting or stopping")

	_, err = Read("lock")
	require.EqualError(t, err, "the stack lock is not a directory")
}
