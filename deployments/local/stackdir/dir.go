// Package stackdir is the directory of a local stack: its marker, its lock and what the stack keeps there.
//
//   - At most one process holds the lock. The kernel drops it when that process ends, however it ends.
//   - The lock file names the pid of its holder, and the kernel tells whether that process has locked the owner file. So no
//     process with a recycled pid, and no other program that holds the lock, is taken for a stack.
//   - There is a stack.json only while the stack is ready.
//   - Only the files of a stack are removed, and only from a directory that has the marker.
package stackdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"example.com/lockstep/pkg/stackfile"
)

// ErrNothing says that the directory does not exist.
var ErrNothing = errors.New("there was nothing")

// ErrUp says that a stack is up in the directory.
var ErrUp = errors.New("a stack is already up")

// ErrLink says that something inside the directory is a symbolic link.
var ErrLink = errors.New("a symbolic link")

// ErrForeign says that the directory was not made by a stack.
var ErrForeign = errors.New("not a stack directory")

const (
	markerName = ".stack-directory"
	ownerName  = "owner"

	// NATSDir, RedisDir, LocksDir and LogsDir are the directories inside a stack directory.
	NATSDir  = "nats"
	RedisDir = "redis"
	LocksDir = "locks"
	LogsDir  = "logs"
)

// written lists the files of a stack. Clean removes the lock last, since it guards the others.
var written = []string{stackfile.Name, stackfile.NewName, stackfile.EnvName, NATSDir, RedisDir, LocksDir, LogsDir, ownerName, markerName, stackfile.LockName}

// Dir is a stack directory whose lock this process holds.
type Dir struct {
	path  string
	lock  *os.File
	owner *os.File
}

// Open creates the directory if there is none, marks it and takes its lock. It returns ErrUp when another
// process holds the lock and ErrForeign when the directory holds other things and no marker.
func Open(path string) (*Dir, error) {
	if err := noLinks(path); err != nil {
		return nil, err
	}
	if err := mark(path); err != nil {
		return nil, err
	}
	lock, err := acquire(path, os.O_CREATE)
	if errors.Is(err, errHeld) {
		pid, _ := stackfile.ReadPID(path)
		return nil, fmt.Errorf("%w in %s (pid %d)", ErrUp, path, pid)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use the stack directory %s: %w", path, err)
	}
	d := &Dir{path: path, lock: lock}
	if err := d.own(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("cannot use the stack directory %s: %w", path, err)
	}
	// A stack that was killed has left its stack.json.
	if err := stackfile.Remove(path); err != nil {
		_ = d.release()
		return nil, fmt.Errorf("cannot use the stack directory %s: %w", path, err)
	}
	return d, nil
}

// noLinks refuses a directory in which one of a stack's files is a symbolic link: the stack would write to another place.
// The directory itself may be a link.
func noLinks(path string) error {
	for _, name := range written {
		if info, err := os.Lstat(filepath.Join(path, name)); err == nil && info.Mode()&os.ModeSymlink != 0 {
			return fmt.Errorf("%s: %w, and a stack writes there: remove it, or make the stack directory itself a link", filepath.Join(path, name), ErrLink)
		}
	}
	return nil
}

// mark creates the directory and its marker. An empty directory may become a stack directory, any other may not.
func mark(path string) error {
	if marked(path) {
		return nil
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("cannot use the stack directory %s: %w", path, bare(err))
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("cannot use the stack directory %s: %w", path, bare(err))
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s holds other files: %w; choose a new or an empty directory", path, ErrForeign)
	}
	if err := os.WriteFile(filepath.Join(path, markerName), nil, 0o600); err != nil {
		return fmt.Errorf("cannot use the stack directory %s: %w", path, bare(err))
	}
	return nil
}

func marked(path string) bool {
	_, err := os.Stat(filepath.Join(path, markerName))
	return err == nil
}

// Path returns the path of something inside the directory.
func (d *Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// SetNote stores a word about the stack for its next run.
func (d *Dir) SetNote(word string) error {
	return os.WriteFile(d.Path(markerName), []byte(word), 0o600)
}

// Note returns the word that SetNote stored, "" in a new directory.
func (d *Dir) Note() (string, error) {
	word, err := os.ReadFile(d.Path(markerName))
	return string(word), err
}

// Publish writes stack.json: the stack has become ready, or one of its processes was replaced.
func (d *Dir) Publish(f stackfile.File) error { return stackfile.Write(d.path, f) }

// Retract removes stack.json: the stack is no longer ready.
func (d *Dir) Retract() error { return stackfile.Remove(d.path) }

// Close removes stack.json and gives the lock back.
func (d *Dir) Close() error {
	return errors.Join(d.Retract(), d.release())
}

func (d *Dir) release() error { return errors.Join(d.owner.Close(), d.lock.Close()) }

// Clean removes the files of a stack from the directory, and the directory if it is empty then (gone). It returns ErrUp
// while a stack is up, ErrForeign for a directory without the marker, and ErrNothing if there is no directory.
func Clean(path string) (gone bool, err error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("%w to clean: no %s", ErrNothing, path)
	}
	if !marked(path) {
		return false, fmt.Errorf("%s: %w, nothing removed", path, ErrForeign)
	}
	d, err := Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = d.release() }()
	for _, name := range written {
		if err := os.RemoveAll(d.Path(name)); err != nil {
			return false, fmt.Errorf("clean %s: %w", path, err)
		}
	}
	return os.Remove(path) == nil, nil
}

// bare removes operation and path from an error that will be wrapped with the path.
func bare(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
