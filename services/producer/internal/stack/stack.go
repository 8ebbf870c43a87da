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
)

const schema = 1

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
	if errors.Is(err, fs.ErrNotExist) {
		return Stack{}, fmt.Errorf("no stack is up in %s: there is no %s", dir, path)
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
		return Stack{}, fmt.Errorf("no stack is up in %s: %s is stale, its process %d is gone", dir, path, s.PID)
	}
	return s, nil
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
