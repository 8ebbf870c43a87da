// Package stackfile is stack.json: where a local stack tells other programs how to reach its parts.
//
//   - The file is there only while the stack is ready. It is replaced at once: a reader sees the old content or the new.
//   - The stack's supervisor holds a lock in the directory for as long as it lives, so a file that a killed stack left is
//     known as stale. A directory without a lock file is believed while the process that its stack.json names is alive.
package stackfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/service"
)

// ErrNoStack says that no stack is up in the directory.
var ErrNoStack = errors.New("no stack is up")

// ErrNotReady says that the directory's stack is starting or stopping.
var ErrNotReady = errors.New("the stack is starting or stopping")

const (
	// Name is the file's name inside the stack's directory.
	Name = "stack.json"
	// NewName is the name under which the next content is written before it replaces the file.
	NewName = Name + ".new"
	// EnvName is the name of a file that is there while Name is: the addresses of NATS and Redis as the environment variables of services,
	// NAME=value, for a debugger that starts one. An address whose password is not known here is left out.
	EnvName = "env"
	// LockName is the name of the file that the supervisor locks with flock(2). It holds the supervisor's pid.
	LockName = "lock"
	// DefaultDir is the directory in which the tasks run a stack unless DIR names another.
	DefaultDir = ".stack"
)

// Schema is the version of the file's format. Read takes oldest, too, which has no Process.App and no Process.HTTP: its stacks run one app.
const (
	Schema = 2
	oldest = 1
)

// The roles of processes.
const (
	RoleRouter   = "router"
	RoleWorker   = "worker"
	RoleAPI      = "api"
	RoleRedis    = "redis"
	RoleSentinel = "sentinel" // watches redis-servers and holds nothing
	RoleLock     = "lock"     // a Redis that holds only locks
	RoleNATS     = "nats"
)

// File is the content of stack.json.
type File struct {
	Schema    int       `json:"schema"`
	PID       int       `json:"pid"`   // the supervisor, which also runs NATS unless that is among the processes
	NATS      string    `json:"nats"`  // URL, or those of a cluster, separated by commas
	Redis     string    `json:"redis"` // host:port, or a redis:// URL without its password if one was given
	App       string    `json:"app"`   // the first one
	Processes []Process `json:"processes"`
}

// Apps returns the apps that run in the stack, the first one first.
func (f File) Apps() []string {
	apps := []string{f.App}
	for _, p := range f.Processes {
		if p.App != "" && !slices.Contains(apps, p.App) {
			apps = append(apps, p.App)
		}
	}
	return apps
}

// Choose returns the app of that name, or the first one for "". An app that the stack does not run is an error that names those it runs.
func (f File) Choose(app string) (string, error) {
	apps := f.Apps()
	switch {
	case app == "":
		return f.App, nil
	case slices.Contains(apps, app):
		return app, nil
	}
	return "", fmt.Errorf("the stack runs no app %q: it runs %s", app, strings.Join(apps, ", "))
}

// Process is one child of the supervisor.
type Process struct {
	Name  string `json:"name"`
	Role  string `json:"role"`
	PID   int    `json:"pid"`
	Admin string `json:"admin"`          // host:port of the admin HTTP; "" if it has none
	App   string `json:"app"`            // that it works for; "" for a server, which all apps share
	HTTP  string `json:"http,omitempty"` // host:port where an api takes requests; "" for all others
}

// Write replaces the directory's stack.json. It sets the schema.
func Write(dir string, f File) error {
	f.Schema = Schema
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, EnvName), []byte(f.env()), 0o600); err != nil {
		return err
	}
	next := filepath.Join(dir, NewName)
	if err := os.WriteFile(next, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(dir, Name))
}

// env is the content of EnvName. The app is in it only if it is not the one that services mean if they are told no other: a service of
// an app of its own would work for the wrong one.
func (f File) env() string {
	env := appname.EnvPrefix + "_NATS=" + f.NATS + "\n"
	if f.Redis != "" && !strings.Contains(f.Redis, "***") {
		env += appname.EnvPrefix + "_REDIS=" + f.Redis + "\n"
	}
	if f.App != appname.Default {
		env += appname.EnvPrefix + "_APP=" + f.App + "\n"
	}
	return env
}

// Remove removes the directory's stack.json, if there is one: its stack is no longer ready.
func Remove(dir string) error {
	for _, name := range []string{Name, EnvName} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Read tells how to reach the stack that runs in the directory. It returns ErrNoStack when none is up and ErrNotReady
// when one is starting or stopping.
func Read(dir string) (File, error) {
	path := filepath.Join(dir, Name)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return File{}, fmt.Errorf("the stack %s is not a directory", dir)
	case errors.Is(err, fs.ErrNotExist):
		return File{}, absent(dir)
	case err != nil:
		return File{}, fmt.Errorf("read the stack's description: %w", err)
	}
	var f File
	if err := json.Unmarshal(text, &f); err != nil {
		return File{}, fmt.Errorf("%s is not a stack's description: %w", path, err)
	}
	switch {
	case f.Schema < oldest || f.Schema > Schema:
		return File{}, fmt.Errorf("%s has schema %d, this program reads %d to %d", path, f.Schema, oldest, Schema)
	case f.PID <= 0 || f.NATS == "" || f.App == "":
		return File{}, fmt.Errorf("%s lacks pid, nats or app", path)
	}
	if err := current(dir, f.PID); err != nil {
		return File{}, err
	}
	if f.Schema == oldest {
		f.raise()
	}
	return f, nil
}

// raise gives the services of a file of the oldest schema their app.
func (f *File) raise() {
	for i, p := range f.Processes {
		if p.Role == RoleRouter || p.Role == RoleWorker {
			f.Processes[i].App = f.App
		}
	}
}

// absent is the error for a directory without stack.json.
func absent(dir string) error {
	if pid, err := Holder(dir); err == nil {
		return fmt.Errorf("%w: %s (pid %d)", ErrNotReady, dir, pid)
	}
	return fmt.Errorf("%w in %s: %s", ErrNoStack, dir, hint(dir))
}

// current returns an error unless stack.json, which names pid, is that of a running stack.
func current(dir string, pid int) error {
	stale := fmt.Errorf("%w in %s: %s is stale, its process %d is gone: %s", ErrNoStack, dir, filepath.Join(dir, Name), pid, hint(dir))
	if _, err := os.Stat(filepath.Join(dir, LockName)); errors.Is(err, fs.ErrNotExist) {
		if !alive(pid) {
			return stale
		}
		return nil
	}
	holder, err := Holder(dir)
	switch {
	case errors.Is(err, ErrNoStack):
		return stale
	case err != nil:
		return err
	case holder != pid: // the next supervisor has the lock and has not removed the file yet
		return fmt.Errorf("%w: %s (pid %d)", ErrNotReady, dir, holder)
	}
	return nil
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// hint says how to start a stack in the directory.
func hint(dir string) string {
	return fmt.Sprintf("start one with `go tool task up%s`", TaskArgument(dir))
}

// TaskArgument is what follows a task's name on the command line to name the directory: "" for the default one, else a
// space and the variable, quoted for a shell.
func TaskArgument(dir string) string {
	if filepath.Clean(dir) == DefaultDir {
		return ""
	}
	return " DIR=" + service.ShellQuote(dir)
}
