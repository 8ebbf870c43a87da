package mismatch

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/query"
)

// testFullDisk fills the disk of NATS and Redis while acknowledged events wait in the log. The events are unfinished then,
// not lost. When there is room again the router still stores nothing and says why and what to do; a restart of nats-server
// brings everything back.
func testFullDisk(t *testing.T, bin string) {
	dir := filepath.Join(t.TempDir(), "disk")
	mountSmallDisk(t, dir)
	r := upIn(t, filepath.Join(dir, "stack"), bin, bin)
	before := r.sendEach("before", 40)
	r.requireCounts(before, 1)
	r.pause(query.MaxPause)
	waiting := r.sendEach("waiting", 40)
	l := programs.StartLoad(t, bin, r.dir, "--rate=2000", "--events=2000", "--keys=100", "--delivery-timeout=3s", "--drain-timeout=2s")
	l.Await("waiting until every shard has reached the log's end")
	empty := fill(t, dir)
	r.pause(0)
	report := l.Ended(97)
	require.Equal(t, "unfinished", report.Verdict)
	require.Zero(t, report.Lost)
	require.Equal(t, report.Acked, report.Applied+report.Unfinished)
	require.NotZero(t, report.Unfinished, "Redis commits nothing on a full disk")

	_, err := r.send("refused", large)
	require.Error(t, err, "there is no room for it")
	const says = `level=WARN msg="router permit not renewed" service=router app=` + app + ` ` +
		`error="bucket ` + app + `_topology: NATS answers for it, but stores nothing in it: `
	r.awaitLog("router-1", says)
	empty()
	_, err = r.send("refused", large)
	require.EqualError(t, err, "503: this router's permit has expired", "there is room again")

	r.withoutNATS(func() {})
	r.awaitRunning()
	r.requireCounts(before, 1)
	r.requireCounts(waiting, 1)
	require.Equal(t, []uint64{0}, r.counts([]string{"refused"}))
	r.someLoad()
}

const diskMiB = 64

// mountSmallDisk makes a directory on a file system of its own, until the test ends.
func mountSmallDisk(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.Mkdir(dir, 0o700))
	if err := mountTmpfs(dir, fmt.Sprintf("size=%dm", diskMiB)); err != nil {
		t.Skipf("did not run: it fills a disk, and a tmpfs cannot be mounted for it (%v); run it as root", err)
	}
	t.Cleanup(func() { require.NoError(t, unmount(dir)) })
}

// fill uses up all room in a directory's file system until empty is called.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	_, err = io.CopyN(f, zeroes{}, 2*diskMiB<<20)
	require.ErrorContains(t, err, "no space left on device")
	return func() { require.NoError(t, os.Remove(path)) }
}

// zeroes is a reader without end.
type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
