package janitor

import (
	"context"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/stretchr/testify/require"
)

// purgeFor bounds for how long a janitor may purge nothing. nats-server takes up to 9 s to begin an election, and a question
// that is lost with a server takes another 5 s.
const purgeFor = 20 * time.Second

// The server of a cluster dies, under load, that makes consumers. The janitor sweeps the buckets whenever it looks, so that it
// is about to watch one.
func TestJanitorInAClusterWhoseServerDies(t *testing.T) {
	janitorInACluster(t, func(_, maker *testkit.NATSNode) []*testkit.NATSNode { return []*testkit.NATSNode{maker} })
}

// The same with each server in turn, but for the one that the janitor is connected to.
func TestLongJanitorInAClusterWhoseServersDie(t *testing.T) {
	testkit.Long(t)
	janitorInACluster(t, func(spare, maker *testkit.NATSNode) []*testkit.NATSNode { return []*testkit.NATSNode{spare, maker} })
}

// janitorInACluster kills servers and brings them back. Log and buckets are led by the server that the janitor is connected to.
// It must go on to purge what every shard has committed, and nothing else, and to sweep the buckets.
func janitorInACluster(t *testing.T, victims func(spare, maker *testkit.NATSNode) []*testkit.NATSNode) {
	t.Parallel()
	servers := testkit.StartNATSCluster(t)
	home, spare, maker := servers.Roles(t)
	b := newBenchIn(t, topology.Log{HistoryBytes: 1, Replicas: len(servers.Nodes)}, home.Clients(t))
	members, err := topology.OpenBucket(t.Context(), b.js, "app", "members", len(servers.Nodes))
	require.NoError(t, err)
	var log testkit.Log
	b.j.cfg.Log, b.j.cfg.Every, b.j.marksKept = log.Logger(), 10*time.Millisecond, 0
	require.NoError(t, b.j.Start(t.Context()))
	defer func() { require.NoError(t, b.j.Stop(context.Background())) }()

	// work makes something to purge and to sweep, and returns how long the janitor took for it.
	work := func() time.Duration {
		begun, swept := time.Now(), log.Count("old entries removed", "app_members")
		require.NoError(t, members.Purge(t.Context(), "left"))
		for shard := range 2 {
			b.commit(shard, b.publish(shard, 1))
		}
		committed := b.publish(2, 1)
		waits := b.publish(2, 1)
		b.commit(2, committed)
		require.Eventually(t, func() bool {
			return b.first() > committed && log.Count("old entries removed", "app_members") > swept
		}, time.Minute, 5*time.Millisecond, "nothing is purged")
		require.Equal(t, waits, b.first(), "shard 2 has yet to commit it")
		return time.Since(begun)
	}
	for _, victim := range victims(spare, maker) {
		servers.AwaitReplicas(t)
		home.Lead(t, b.js.Conn(), "APP_1_0", "KV_app_topology", "KV_app_members")
		work()
		victim.Kill()
		longest := time.Duration(0)
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
			longest = max(longest, work())
		}
		t.Logf("something to purge waited for %s at most", longest.Round(time.Millisecond))
		require.Less(t, longest, purgeFor)
		victim.Start(t)
	}
	t.Log(&log)
}
