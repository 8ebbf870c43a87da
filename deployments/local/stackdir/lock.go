package stackdir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"example.com/lockstep/pkg/stackfile"
)

var errHeld = errors.New("lock held by another process")

// acquire takes the lock without waiting and writes our pid into it. flag may be os.O_CREATE.
func acquire(path string, flag int) (*os.File, error) {
	name := filepath.Join(path, stackfile.LockName)
	for {
		f, err := os.OpenFile(name, os.O_RDWR|flag, 0o600)
		if err != nil {
			return nil, bare(err)
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, errHeld
			}
			return nil, err
		}
		// Clean may have removed the file after we opened it and before we locked it: then this lock guards nothing.
		if same, err := isAt(f, name); err != nil || !same {
			f.Close()
			if err != nil {
				return nil, err
			}
			continue
		}
		if err := writePID(f); err != nil {
			f.Close()
			return nil, bare(err)
		}
		return f, nil
	}
}

func isAt(f *os.File, name string) (bool, error) {
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(opened, there), err
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder returns the pid of the process whose stack runs, starts or stops in the directory; else stackfile.ErrNoStack.
func holder(path string) (int, error) {
	if !marked(path) {
		return 0, fmt.Errorf("%w in %s", stackfile.ErrNoStack, path)
	}
	return stackfile.Holder(path)
}

// Down ends the stack in the directory with SIGTERM and waits until its process has ended. It returns that process's pid,
// stackfile.ErrNoStack if no stack is up, or an error when ctx ends first.
func Down(ctx context.Context, path string) (int, error) {
	pid, err := holder(path)
	if err != nil {
		return 0, err
	}
	// FindProcess pins the process where the system can (a pidfd on Linux). When the holder is still the same after that,
	// the signal cannot reach a successor with the same pid.
	proc, err := os.FindProcess(pid)
	if err != nil {
		return 0, err
	}
	defer proc.Release()
	if again, err := holder(path); err != nil || again != pid {
		return 0, fmt.Errorf("%w in %s: it ended just now", stackfile.ErrNoStack, path)
	}
	if err := checkOwner(path, pid); err != nil {
		return 0, err
	}
	if err := proc.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return pid, fmt.Errorf("stop the stack in %s (pid %d): %w", path, pid, err)
	}
	return pid, awaitRelease(ctx, path, pid)
}

func awaitRelease(ctx context.Context, path string, pid int) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if now, err := holder(path); errors.Is(err, stackfile.ErrNoStack) || (err == nil && now != pid) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the stack in %s (pid %d) has not ended yet: %w", path, pid, ctx.Err())
		case <-tick.C:
		}
	}
}
