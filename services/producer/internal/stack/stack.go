// Package stack reads stack.json, by which a local stack says where its parts
// listen.
package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"example.com/lockstep/pkg/service"
)

const schema = 1

// defaultDir is where the tasks run a stack if they are not told.
const defaultDir = ".stack"

// Stack is what the producer needs of a running stack.
type Stack struct {
	Schema int    `json:"schema"`
	PID    int    `json:"pid"` // of the stack's supervisor
	NATS   string `json:"nats"`
	App    string `json:"app"`
}

// Read returns the stack that runs in a directory.
func Read(dir string) (Stack, error) {
	path := filepath.Join(dir, "stack.json")
	body, err := os.ReadFile(path)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return Stack{}, fmt.Errorf("the stack %s is not a directory", dir)
	case errors.Is(err, fs.ErrNotExist) && held(dir):
		return Stack{}, fmt.Errorf("the stack in %s is starting or stopping", dir)
	case errors.Is(err, fs.ErrNotExist):
		return Stack{}, fmt.Errorf("no stack is up in %s: %s", dir, hint(dir))
	}
	if err != nil {
		return Stack{}, fmt.Errorf("read the stack's description: %w", err)
	}
	var s Stack
	if err := json.Unmarshal(body, &s); err != nil {
		return Stack{}, fmt.Errorf("%s is not a stack's description: %w", path, err)
	}
	switch {
	case s.Schema != schema:
		return Stack{}, fmt.Errorf("%s has schema %d, this program knows %d", path, s.Schema, schema)
	case s.PID <= 0 || s.NATS == "" || s.App == "":
		return Stack{}, fmt.Errorf("%s lacks pid, nats or app", path)
	case !alive(s.PID):
		return Stack{}, fmt.Errorf("no stack is up in %s: %s is stale, its process %d is gone: %s", dir, path, s.PID, hint(dir))
	}
	return s, nil
}

// hint says how to start a stack in a directory.
func hint(dir string) string {
	where := ""
	if filepath.Clean(dir) != defaultDir {
		where = " DIR=" + service.ShellQuote(dir)
	}
	return fmt.Sprintf("start one with `go tool task up%s`", where)
}

// held tells whether a supervisor has the directory: it holds a lock there while it runs.
func held(dir string) bool {
	f, err := os.Open(filepath.Join(dir, "lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	// A shared lock, so that two who ask do not take each other for a stack.
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
