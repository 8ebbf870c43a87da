package permit

import (
	"context"
	"fmt"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// lead makes a server the leader of a bucket's stream.
func lead(t testing.TB, nc *nats.Conn, kv jetstream.KeyValue, n *testkit.NATSNode) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream := bucketStream(kv)
	require.Eventually(t, func() bool {
		s, err := js.Stream(t.Context(), stream)
		if err != nil || s.CachedInfo().Cluster.Leader == n.Name {
			return err == nil
		}
		_, _ = nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+stream, fmt.Appendf(nil, `{"placement":{"preferred":%q}}`, n.Name), time.Second)
		return false
	}, 3*patience, 100*time.Millisecond, "%s does not lead", n.Name)
}

// host makes a server the one that has the bucket's only consumer.
func host(t testing.TB, nc *nats.Conn, kv jetstream.KeyValue, n *testkit.NATSNode) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream := bucketStream(kv)
	require.Eventually(t, func() bool {
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			return false
		}
		var there []*jetstream.ConsumerInfo
		list := s.ListConsumers(t.Context())
		for c := range list.Info() {
			there = append(there, c)
		}
		if list.Err() != nil || len(there) != 1 {
			return false
		}
		if there[0].Cluster != nil && there[0].Cluster.Leader == n.Name {
			return true
		}
		_ = s.DeleteConsumer(t.Context(), there[0].Name)
		return false
	}, 6*patience, 100*time.Millisecond, "%s does not have the consumer", n.Name)
}

// Each server of a cluster that has a router's watch is killed in turn, but for the one that it is connected to and that
// leads the bucket: one that leads nothing, and the one that makes streams and consumers, so that for seconds there is no
// other watch.
func TestPermitInAClusterWhoseServersDie(t *testing.T) {
	c := testkit.StartNATSCluster(t)
	maker := c.Leader(t)
	var others []*testkit.NATSNode
	for _, n := range c.Nodes {
		if n != maker {
			others = append(others, n)
		}
	}
	home := others[0]
	nc := home.Connect(t, nats.ReconnectBufSize(-1))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	in := initial
	in.Log.Replicas = len(c.Nodes)
	_, kv, err := topology.Open(t.Context(), js, "app", in, quiet)
	require.NoError(t, err)
	lead(t, nc, kv, home)
	var log logged
	p, w, err := New(t.Context(), nc, kv, "a", log.logger())
	require.NoError(t, err)
	defer w.Stop()
	require.NoError(t, p.Start(t.Context()))
	defer func() { _ = p.Stop(context.Background()) }()
	for _, victim := range []*testkit.NATSNode{others[1], maker} {
		host(t, nc, kv, victim)
		victim.Kill()
		p.requireAlmostNoOutage(t)
		victim.Start(t)
		c.AwaitReplicas(t)
		lead(t, nc, kv, home)
	}
	t.Log(log.String())
}
