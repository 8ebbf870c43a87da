package worker_test

import (
	"syscall"
	"testing"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

// A worker whose Redis hangs ends by itself soon after its time to stop is over, and names the leases that it leaves.
func TestStopThoughRedisHangs(t *testing.T) {
	n, server := testkit.NATS(t), testkit.RedisProcess(t)
	open(t, n)
	cmd, log := command(t, "--nats="+n.URL, "--redis="+server.Addr, "--stop-timeout=1s")
	require.NoError(t, cmd.Start())
	client := query.NewClient(n.Conn, appname.Default)
	require.Eventually(t, func() bool {
		workers, err := client.Status(t.Context(), 50*time.Millisecond)
		running := 0
		for _, w := range workers {
			for _, s := range w.Shards {
				if s.State == "running" {
					running++
				}
			}
		}
		return err == nil && running == 4
	}, 20*time.Second, 20*time.Millisecond, "not at work")
	server.Pause(t)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	began := time.Now()
	require.Error(t, cmd.Wait())
	require.Less(t, time.Since(began), 10*time.Second)
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Equal(t, []string{"worker: stop: group stopped before its shards were handed over: context deadline exceeded"}, lines(log.String()))
	require.Contains(t, log.String(), "could not release a lease; it expires by itself")
}
