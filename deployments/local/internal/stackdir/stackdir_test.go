package stackdir

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFileLifeCycle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "stack")
	_, err := Read(path)
	require.ErrorIs(t, err, ErrNoStack)
	require.NoDirExists(t, path, "looking makes nothing")

	d, err := Open(path)
	require.NoError(t, err)
	_, err = Read(path)
	require.ErrorIs(t, err, ErrNotReady)

	f := File{PID: os.Getpid(), NATS: "nats://127.0.0.1:1", Redis: "127.0.0.1:2", App: "shop",
		Processes: []Process{{Name: "worker-1", Role: RoleWorker, PID: 7, Admin: "127.0.0.1:3"}}}
	require.NoError(t, d.Write(f))
	f.Schema = Schema
	got, err := Read(path)
	require.NoError(t, err)
	require.Equal(t, f, got)

	require.NoError(t, d.Close())
	_, err = Read(path)
	require.ErrorIs(t, err, ErrNoStack)
	require.NoFileExists(t, filepath.Join(path, fileName))
}

func TestOneHolder(t *testing.T) {
	path := t.TempDir()
	d, err := Open(path)
	require.NoError(t, err)
	_, err = Open(path)
	require.ErrorIs(t, err, ErrUp)
	pid, err := Holder(path)
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), pid)
	require.NoError(t, d.Close())
	_, err = Holder(path)
	require.ErrorIs(t, err, ErrNoStack)
}

func TestStaleFileWithALivingPID(t *testing.T) {
	path := t.TempDir()
	d, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, d.Write(File{PID: os.Getpid()}))
	require.NoError(t, d.lock.Close()) // as a killed process would leave it, its pid now belonging to us

	_, err = Read(path)
	require.ErrorIs(t, err, ErrNoStack)
	_, err = Down(context.Background(), path)
	require.ErrorIs(t, err, ErrNoStack, "we must not be signalled")
	d, err = Open(path)
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(path, fileName), "the next one removes it")
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
	require.ErrorIs(t, err, ErrNoStack)
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

func TestDownGivesUpWaiting(t *testing.T) {
	path := t.TempDir()
	d, err := Open(path)
	require.NoError(t, err)
	defer d.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, awaitRelease(ctx, path, os.Getpid()), context.DeadlineExceeded)
}
