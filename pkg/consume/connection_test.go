package consume

import (
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// A worker whose server is up but without JetStream, like one that is cut off from its cluster, tries another server.
func TestWorkerThatGetsNoAnswerTriesAnotherServer(t *testing.T) {
	r, other := newRig(t, 1), testkit.NATS(t)
	nc, err := nats.Connect(r.nats.URL+","+other.URL, nats.DontRandomize(), nats.ReconnectWait(10*time.Millisecond), nats.ReconnectBufSize(-1))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	w := r.workerOn(nc)
	require.NoError(t, w.Start(background))
	r.send(0, "a")
	r.applied()
	require.Equal(t, r.nats.URL, nc.ConnectedUrl())
	require.NoError(t, r.nats.Server.ShutdownJetStream())
	eventually(t, func() bool { return nc.ConnectedUrl() == other.URL }, "still on the server of no use: %s", w.shard(0).State)
}
