package stackdir

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Schema is the version of stack.json's format.
const Schema = 1

// The roles of processes.
const (
	RoleRouter = "router"
	RoleWorker = "worker"
	RoleRedis  = "redis"
	RoleLock   = "lock" // a Redis that holds only locks
	RoleNATS   = "nats"
)

// File is the content of stack.json: how to reach a stack that is ready.
type File struct {
	Schema    int       `json:"schema"`
	PID       int       `json:"pid"`   // the supervisor, which also runs NATS unless that is among the processes
	NATS      string    `json:"nats"`  // URL, or those of a cluster, separated by commas
	Redis     string    `json:"redis"` // host:port, or a redis:// URL without its password if one was given
	App       string    `json:"app"`
	Processes []Process `json:"processes"`
}

// Process is one child of the supervisor.
type Process struct {
	Name  string `json:"name"`
	Role  string `json:"role"`
	PID   int    `json:"pid"`
	Admin string `json:"admin"` // host:port of the admin HTTP; "" if it has none
}

// Write puts stack.json in place at once: readers see the old content or the new, never a part.
func (d *Dir) Write(f File) error {
	f.Schema = Schema
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	next := d.Path(fileName + ".new")
	if err := os.WriteFile(next, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(next, d.Path(fileName))
}

// Read returns how to reach the stack in the directory. It returns ErrNoStack when none is up, whatever a killed
// one left behind, and ErrNotReady when it is starting or stopping.
func Read(path string) (File, error) {
	pid, err := Holder(path)
	if err != nil {
		return File{}, err
	}
	text, err := os.ReadFile(filepath.Join(path, fileName))
	if os.IsNotExist(err) {
		return File{}, fmt.Errorf("%w: %s (pid %d)", ErrNotReady, path, pid)
	}
	if err != nil {
		return File{}, err
	}
	var f File
	if err := json.Unmarshal(text, &f); err != nil {
		return File{}, fmt.Errorf("read %s: %w", filepath.Join(path, fileName), err)
	}
	if f.Schema != Schema {
		return File{}, fmt.Errorf("%s has schema %d, this program reads %d", filepath.Join(path, fileName), f.Schema, Schema)
	}
	return f, nil
}
