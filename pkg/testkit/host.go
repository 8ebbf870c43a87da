package testkit

import (
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

// Host waits until the server has all consumers of a stream, and there are so many of them. The cluster chooses the server
// of an ephemeral consumer by chance: those on other servers are deleted, until their owners' next ones are placed right.
func (n *NATSNode) Host(t testing.TB, nc *nats.Conn, stream string, consumers int) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			return false
		}
		here, others := 0, 0
		list := s.ListConsumers(t.Context())
		for c := range list.Info() {
			if c.Cluster != nil && c.Cluster.Leader == n.Name {
				here++
				continue
			}
			others++
			_ = s.DeleteConsumer(t.Context(), c.Name)
		}
		return list.Err() == nil && here == consumers && others == 0
	}, placeTimeout, placeEvery, "%s does not have %d consumers of stream %s, and no other server any", n.Name, consumers, stream)
}
