package route

import (
	"context"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// A router whose server runs on without JetStream tries the other one.
func TestRouterWithoutAPermitTriesAnotherServer(t *testing.T) {
	s, other := newSystem(t), testkit.NATS(t)
	nc, err := nats.Connect(s.URL+","+other.URL, nats.DontRandomize(), nats.ReconnectWait(10*time.Millisecond), nats.ReconnectBufSize(-1))
	require.NoError(t, err)
	defer nc.Close()
	r, err := New(nc, s.linked())
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context()))
	defer func() { _ = r.Stop(context.Background()) }()
	require.Equal(t, s.URL, nc.ConnectedUrl())

	require.NoError(t, s.Server.ShutdownJetStream())
	require.Eventually(t, func() bool { return nc.ConnectedUrl() == other.URL }, 20*time.Second, 10*time.Millisecond)
	require.ErrorIs(t, r.Ready(), errNoPermit)
}
