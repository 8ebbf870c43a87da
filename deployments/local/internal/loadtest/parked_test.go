package loadtest

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/query"
)

// Keys with an event that always fails are parked, also though a worker is killed and the store is wiped meanwhile: their lists
// are complete and in order, all other keys go on, and what an operator drops of them is counted.
func testParked(t *testing.T, bin string) {
	t.Parallel()
	s := up(t, bin, bin, "--worker-flag=--overdraft=refuse", "--worker-flag=--attempts=3")
	l := s.load(t, "--rate=3000", "--duration=4s", "--keys=500", "--poison=0.02", "--wait-parked=1m")
	l.Await(programs.Sending)
	require.NoError(t, syscall.Kill(s.process(t, "worker-1").PID, syscall.SIGKILL))
	l.Await(programs.Sending)
	store := redis.NewClient(&redis.Options{Addr: s.file.Redis})
	defer store.Close()
	require.NoError(t, store.FlushAll(t.Context()).Err())
	l.Await("10 keys have a list, and 10 of these lists are parked, complete and in order")

	var dropped uint64
	require.NoError(t, s.query.Lists(t.Context(), func(list query.List) error {
		drop := exec.Command(filepath.Join(bin, "worker"), "parked", "drop", list.Key, "--yes", "--nats="+s.file.NATS, "--app="+s.file.App)
		out, err := drop.CombinedOutput()
		require.NoError(t, err, string(out))
		dropped += list.Count
		return nil
	}))
	r := l.Ended(0)
	require.Equal(t, "pass", r.Verdict)
	require.Zero(t, r.Lost+r.Duplicated+r.Reordered)
	require.Zero(t, r.SetAside)
	require.Equal(t, dropped, r.Dropped)
	require.Equal(t, r.Sent, r.Applied+r.Dropped)
	require.Equal(t, 10, strings.Count(l.Out.String(), "\n  dropped: key load-"))
}
