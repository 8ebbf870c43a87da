package worker_test

import (
	"encoding/json"
	"syscall"
	"testing"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// A running worker lets its shards go under a topology from the future, and another one refuses to start. When the topology is
// restored it takes them again.
func TestTopologyFromTheFuture(t *testing.T) {
	const why = "the topology cannot be read: it needs format 2, and this version knows 1: upgrade this program"
	n := testkit.NATS(t)
	at := []string{"--nats=" + n.URL, "--redis=" + testkit.Redis(t)}
	top := open(t, n)
	cmd, log := command(t, at...)
	require.NoError(t, cmd.Start())
	client := query.NewClient(n.Conn, appname.Default)
	await := func(shards int, away string) {
		t.Helper()
		require.Eventually(t, func() bool {
			workers, err := client.Status(t.Context(), 50*time.Millisecond)
			return err == nil && len(workers) == 1 && len(workers[0].Shards) == shards && workers[0].Away == away
		}, 20*time.Second, 10*time.Millisecond, "%d shards, %q", shards, away)
	}
	await(4, "")

	js, err := jetstream.New(n.Conn)
	require.NoError(t, err)
	kv, err := js.KeyValue(t.Context(), topology.Bucket(appname.Default, "topology"))
	require.NoError(t, err)
	write := func(needs int) {
		top.Needs = needs
		b, err := json.Marshal(top)
		require.NoError(t, err)
		_, err = kv.Put(t.Context(), "topology", b)
		require.NoError(t, err)
	}
	write(topology.Format + 1)
	await(0, why)
	requireRefused(t, 1, why, at...)
	requireRefused(t, 1, why, append([]string{"accept-gap", "0"}, at...)...)

	write(topology.Format)
	await(4, "")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait(), "%s", log)
	require.Contains(t, log.String(), `"msg":"worker has let its shards go and takes none until its topology is back"`)
	require.Contains(t, log.String(), `"msg":"the topology is back: worker takes shards again"`)
}
