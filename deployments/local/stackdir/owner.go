package stackdir

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"example.com/lockstep/pkg/stackfile"
)

// own locks the owner file until this process ends. The kernel tells the pid of this lock's holder (POSIX), whereas the pid
// in the lock file may be recycled. The lock file has a flock all the same: a process loses a POSIX lock by accident, when
// it closes any descriptor of the file.
func (d *Dir) own() (err error) {
	if d.owner, err = os.OpenFile(d.Path(ownerName), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return bare(err)
	}
	return syscall.FcntlFlock(d.owner.Fd(), syscall.F_SETLK, writeLock())
}

func writeLock() *syscall.Flock_t {
	return &syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
}

// checkOwner returns an error unless the kernel says that this process holds the directory.
func checkOwner(path string, pid int) error {
	f, err := os.OpenFile(filepath.Join(path, ownerName), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("find the process that holds %s: %w", path, bare(err))
	}
	defer f.Close()
	holder := writeLock()
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, holder); err != nil {
		return fmt.Errorf("find the process that holds %s: %w", path, err)
	}
	if holder.Type == syscall.F_UNLCK || int(holder.Pid) != pid {
		return fmt.Errorf("the lock of %s names pid %d, which is not a stack's: another program holds the lock; find it with `fuser %s` and end it",
			path, pid, filepath.Join(path, stackfile.LockName))
	}
	return nil
}
