package publish

import (
	"context"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// A connection that is closed for good ends every event at once, and no other is taken.
func TestClosedConnectionIsSaidAtOnce(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *testkit.NATSServer, *nats.Conn){
		"closed":      func(_ *testing.T, _ *testkit.NATSServer, nc *nats.Conn) { nc.Close() },
		"drained":     func(t *testing.T, _ *testkit.NATSServer, nc *nats.Conn) { require.NoError(t, nc.Drain()) },
		"not reached": func(_ *testing.T, srv *testkit.NATSServer, _ *nats.Conn) { srv.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			srv := testkit.NATS(t)
			r := startRouter(t, srv.Connect(t))
			nc := srv.Connect(t, nats.MaxReconnects(3), nats.ReconnectWait(time.Millisecond))
			p := startPublisher(t, nc, Config{MaxEvents: 2, DeliveryTimeout: time.Hour})
			flying, err := p.SendAsync("k", nil)
			require.NoError(t, err)
			<-r.got
			waiting, err := p.SendAsync("k", nil)
			require.NoError(t, err)
			room := make(chan error, 1)
			go func() { room <- p.WaitRoom(context.Background()) }()

			end(t, srv, nc)
			<-flying.Done()
			<-waiting.Done()
			requireUnknown(t, flying.Err())
			require.ErrorContains(t, flying.Err(), "connection to NATS is closed")
			requireNotStored(t, waiting.Err(), ErrDisconnected)
			<-room
			_, err = p.SendAsync("k", nil)
			requireNotStored(t, err, ErrDisconnected)
			requireNotStored(t, p.Send(context.Background(), "k", nil), ErrDisconnected)
			require.ErrorIs(t, p.WaitRoom(context.Background()), ErrDisconnected)
			require.NoError(t, p.Stop(context.Background()))
			require.ErrorIs(t, p.Send(context.Background(), "k", nil), ErrClosed)
		})
	}
}

// A frame that no connection took is not stored, however its events end.
func TestFrameThatNeverLeftIsNotStored(t *testing.T) {
	srv := testkit.NATS(t)
	nc := srv.Connect(t, nats.ReconnectBufSize(-1))
	p := startPublisher(t, nc, Config{DeliveryTimeout: time.Second})
	srv.Stop()
	require.Eventually(t, func() bool { return nc.Status() != nats.CONNECTED }, 10*time.Second, time.Millisecond)
	err := p.Send(context.Background(), "k", nil)
	requireNotStored(t, err, ErrNotSent)
	require.ErrorIs(t, err, nats.ErrReconnectBufExceeded)

	h, err := p.SendAsync("k", nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return h.Seq() > 0 }, 10*time.Second, time.Millisecond)
	nc.Close()
	<-h.Done()
	requireNotStored(t, h.Err(), ErrDisconnected)
}

func TestSilenceIsToldOnce(t *testing.T) {
	var s silence
	told := func(ms int, inFlight bool) bool {
		_, tell := s.lasts(at(ms), inFlight)
		return tell
	}
	require.False(t, told(0, true))
	require.False(t, told(4999, true))
	require.True(t, told(5000, true))
	require.False(t, told(60_000, true), "once")
	s.end()
	require.False(t, told(61_000, true), "it begins anew")
	require.False(t, told(65_000, false), "nothing is waited for")
	require.False(t, told(66_500, true))
	require.True(t, told(71_500, true))
}
