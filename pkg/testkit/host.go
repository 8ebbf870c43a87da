package testkit

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

const (
	placeTimeout = time.Minute
	placeEvery   = 100 * time.Millisecond
)

// Lead makes the server the leader of streams, asked over a connection to any server of the cluster.
func (n *NATSNode) Lead(t testing.TB, nc *nats.Conn, streams ...string) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	for _, stream := range streams {
		require.Eventually(t, func() bool {
			s, err := js.Stream(t.Context(), stream)
			if err != nil || s.CachedInfo().Cluster.Leader == n.Name {
				return err == nil
			}
			_, _ = nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+stream, fmt.Appendf(nil, `{"placement":{"preferred":%q}}`, n.Name), time.Second)
			return false
		}, placeTimeout, placeEvery, "%s does not lead stream %s", n.Name, stream)
	}
}

// Host waits until the server has all consumers of some streams, and each stream has as many as given. The cluster chooses the
// server of an ephemeral consumer by chance: those on other servers are deleted, until their owners' next ones are placed
// right. So are those that no client reads from any more.
func (n *NATSNode) Host(t testing.TB, nc *nats.Conn, consumers map[string]int) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		all := true
		for stream, want := range consumers {
			all = n.hosts(t.Context(), js, stream, want) && all
		}
		return all
	}, placeTimeout, placeEvery, "%s does not have all consumers: %v", n.Name, consumers)
}

// hosts tells whether the server has all consumers of a stream, and deletes the others.
func (n *NATSNode) hosts(ctx context.Context, js jetstream.JetStream, stream string, want int) bool {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return false
	}
	placed, others := 0, 0
	list := s.ListConsumers(ctx)
	for c := range list.Info() {
		if read := c.PushBound || c.NumWaiting > 0; read && c.Cluster != nil && c.Cluster.Leader == n.Name {
			placed++
			continue
		}
		others++
		_ = s.DeleteConsumer(ctx, c.Name)
	}
	return list.Err() == nil && placed == want && others == 0
}
