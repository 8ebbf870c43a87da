package stackdir

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"example.com/lockstep/pkg/stackfile"
)

// own locks the owner file for as long as this process lives. This second lock is one that tells its holder's pid (POSIX; the
// other, flock, cannot be dropped by accident): a pid that is written in a file may be anybody's by now.
func (d *Dir) own() (err error) {
	if d.owner, err = os.OpenFile(d.Path(ownerName), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return bare(err)
	}
	return syscall.FcntlFlock(d.owner.Fd(), syscall.F_SETLK, wholeFile())
}

func wholeFile() *syscall.Flock_t {
	return &syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
}

// checkOwner returns an error unless the kernel says that this process holds the directory.
func checkOwner(path string, pid int) error {
	f, err := os.OpenFile(filepath.Join(path, ownerName), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("look who holds %s: %w", path, bare(err))
	}
	defer f.Close()
	holder := wholeFile()
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, holder); err != nil {
		return fmt.Errorf("look who holds %s: %w", path, err)
	}
	if holder.Type == syscall.F_UNLCK || int(holder.Pid) != pid {
		return fmt.Errorf("the lock of %s names pid %d, which is no stack's: another program holds it (fuser %s): end that one",
			path, pid, filepath.Join(path, stackfile.LockName))
	}
	return nil
}
