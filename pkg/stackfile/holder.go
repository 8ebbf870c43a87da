package stackfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Holder returns the pid of the process that holds the directory's lock: a stack runs there, starts or stops. It
// returns ErrNoStack when the lock is free or missing.
func Holder(dir string) (int, error) {
	f, err := os.Open(filepath.Join(dir, LockName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%w in %s", ErrNoStack, dir)
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	// A shared lock, so that two programs that ask do not take each other for a stack.
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if err == nil {
		return 0, fmt.Errorf("%w in %s", ErrNoStack, dir)
	}
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return 0, err
	}
	return ReadPID(dir)
}

// ReadPID returns the pid that the directory's lock file names, whether or not that process still holds the lock.
func ReadPID(dir string) (int, error) {
	name := filepath.Join(dir, LockName)
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s names no process: %w", name, err)
	}
	return pid, nil
}
