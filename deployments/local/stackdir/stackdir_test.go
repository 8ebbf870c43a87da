package stackdir

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/stackfile"
)

func TestFileLifeCycle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "stack")
	_, err := stackfile.Read(path)
	require.ErrorIs(t, err, stackfile.ErrNoStack)
	require.NoDirExists(t, path, "looking makes nothing")

	d, err := Open(path)
	require.NoError(t, err)
	_, err = stackfile.Read(path)
	require.ErrorIs(t, err, stackfile.ErrNotReady)

	f := stackfile.File{PID: os.Getpid(), NATS: "nats://127.0.0.1:1", Redis: "127.0.0.1:2", App: "shop",
		Processes: []stackfile.Process{{Name: "worker-1", Role: stackfile.RoleWorker, PID: 7, Admin: "127.0.0.1:3"}}}
	require.NoError(t, d.Publish(f))
	f.Schema = stackfile.Schema
	got, err := stackfile.Read(path)
	require.NoError(t, err)
	require.Equal(t, f, got)

	require.NoError(t, d.Close())
	_, err = stackfile.Read(path)
	require.ErrorIs(t, err, stackfile.ErrNoStack)
	require.NoFileExists(t, filepath.Join(path, stackfile.Name))
}

func TestOneHolder(t *testing.T) {
	path := t.TempDir()
	d, err := Open(path)
	require.NoError(t, err)
	_, err = Open(path)
	require.ErrorIs(t, err, ErrUp)
	pid, err := holder(path)
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), pid)
	require.NoError(t, d.Close())
	_, err = holder(path)
	require.ErrorIs(t, err, stackfile.ErrNoStack)
}

func TestStaleFileWithALivingPID(t *testing.T) {
	path := t.TempDir()
	d, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, d.Publish(stackfile.File{PID: os.Getpid(), NATS: "nats://127.0.0.1:1", App: "shop"}))
	require.NoError(t, d.lock.Close()) // as a killed process would leave it, its pid now belonging to us

	_, err = stackfile.Read(path)
	require.ErrorIs(t, err, stackfile.ErrNoStack)
	_, err = Down(context.Background(), path)
	require.ErrorIs(t, err, stackfile.ErrNoStack, "we must not be signalled")
	d, err = Open(path)
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(path, stackfile.Name), "the next one removes it")
	require.NoError(t, d.Close())
}

func TestForeignDirectoryIsLeftAlone(t *testing.T) {
	path := t.TempDir()
	letter := filepath.Join(path, "letter")
	require.NoError(t, os.WriteFile(letter, nil, 0o644))
	_, err := Open(path)
	require.ErrorIs(t, err, ErrForeign)
	_, err = Clean(path)
	require.ErrorIs(t, err, ErrForeign)
	_, err = Down(context.Background(), path)
	require.ErrorIs(t, err, stackfile.ErrNoStack)
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestClean(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stack")
	_, err := Clean(path)
	require.ErrorIs(t, err, ErrNothing)

	d, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(d.Path(NATSDir, "deep"), 0o755))
	_, err = Clean(path)
	require.ErrorIs(t, err, ErrUp)
	require.DirExists(t, d.Path(NATSDir))
	require.NoError(t, d.Close())

	letter := filepath.Join(path, "letter")
	require.NoError(t, os.WriteFile(letter, nil, 0o644))
	gone, err := Clean(path)
	require.NoError(t, err)
	require.False(t, gone)
	require.FileExists(t, letter, "not the stack's")
	require.NoDirExists(t, filepath.Join(path, NATSDir))
}

// A stack writes into its directory and nowhere else.
func TestLinksAreRefused(t *testing.T) {
	for _, name := range written {
		path, outside := t.TempDir(), t.TempDir()
		d, err := Open(path)
		require.NoError(t, err)
		require.NoError(t, d.Close())
		require.NoError(t, os.RemoveAll(filepath.Join(path, name)))
		require.NoError(t, os.Symlink(outside, filepath.Join(path, name)))
		_, err = Open(path)
		require.ErrorIs(t, err, ErrLink, name)
		entries, err := os.ReadDir(outside)
		require.NoError(t, err)
		require.Empty(t, entries)
	}
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(t.TempDir(), link))
	d, err := Open(link)
	require.NoError(t, err, "the directory itself may be one")
	require.NoError(t, d.Close())
}

func TestFilesAreNotForOthers(t *testing.T) {
	d, err := Open(t.TempDir())
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.SetNote("word"))
	require.NoError(t, d.Publish(stackfile.File{PID: os.Getpid()}))
	for _, name := range []string{stackfile.Name, stackfile.LockName, markerName, ownerName} {
		info, err := os.Stat(d.Path(name))
		require.NoError(t, err)
		require.EqualValues(t, 0o600, info.Mode().Perm(), name)
	}
}

func TestDownGivesUpWaiting(t *testing.T) {
	path := t.TempDir()
	d, err := Open(path)
	require.NoError(t, err)
	defer d.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, awaitRelease(ctx, path, os.Getpid()), context.DeadlineExceeded)
}

// Another program holds the lock, and the lock file names the pid of a third one.
func TestDownSignalsOnlyTheStack(t *testing.T) {
	path := t.TempDir()
	d, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, d.Close())
	bystander := exec.Command("sleep", "60")
	require.NoError(t, bystander.Start())
	t.Cleanup(func() {
		_ = bystander.Process.Kill()
		_ = bystander.Wait()
	})
	lock, err := os.OpenFile(filepath.Join(path, stackfile.LockName), os.O_RDWR, 0)
	require.NoError(t, err)
	defer lock.Close()
	require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	_, err = lock.WriteAt([]byte(strconv.Itoa(bystander.Process.Pid)+"\n"), 0)
	require.NoError(t, err)
	_, err = Down(context.Background(), path)
	require.ErrorContains(t, err, "which is not a stack's: another program holds the lock")
	require.NoError(t, bystander.Process.Signal(syscall.Signal(0)), "it still runs")
}
