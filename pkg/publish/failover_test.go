package publish

import (
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// A publisher whose server knows of no router goes to another one, as when its server is cut off from the cluster.
func TestPublisherGoesWhereThereIsARouter(t *testing.T) {
	alone, cluster := testkit.NATS(t), testkit.NATS(t)
	r := startRouter(t, cluster.Conn)
	nc, err := nats.Connect(alone.URL+","+cluster.URL, nats.DontRandomize(), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	defer nc.Close()
	p := startPublisher(t, nc, Config{})
	begun := time.Now()
	h, err := p.SendAsync("key", nil)
	require.NoError(t, err)
	r.answer(t, <-r.got, stored)
	require.NoError(t, h.Wait(t.Context()))
	require.Equal(t, cluster.URL, nc.ConnectedUrl())
	require.Less(t, time.Since(begun), 5*time.Second)
}
