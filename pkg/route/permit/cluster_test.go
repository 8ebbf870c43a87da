package permit

import (
	"context"
	"testing"

	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// The server that has a router's watch is killed: first one that leads nothing, then the one that makes streams and
// consumers, so that for seconds there is no other watch. The router's own server, which leads the bucket, runs on.
func TestPermitInAClusterWhoseServersDie(t *testing.T) {
	c := testkit.StartNATSCluster(t)
	home, spare, maker := c.Roles(t)
	nc := home.Connect(t, nats.ReconnectBufSize(-1))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	in := initial
	in.Log.Replicas = len(c.Nodes)
	_, kv, err := topology.Open(t.Context(), js, "app", in, quiet)
	require.NoError(t, err)
	home.Lead(t, nc, bucketStream(kv))
	var log testkit.Log
	p, w, err := New(t.Context(), nc, kv, "a", log.Logger())
	require.NoError(t, err)
	defer w.Stop()
	require.NoError(t, p.Start(t.Context()))
	defer func() { _ = p.Stop(context.Background()) }()
	for _, victim := range []*testkit.NATSNode{spare, maker} {
		victim.Host(t, nc, map[string]int{bucketStream(kv): 1})
		victim.Kill()
		p.requireAlmostNoOutage(t)
		victim.Start(t)
		c.AwaitReplicas(t)
		home.Lead(t, nc, bucketStream(kv))
	}
	t.Log(log.String())
}
