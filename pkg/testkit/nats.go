// Package testkit gives tests the servers that they cross: a NATS server with
// JetStream inside the test's process, and a Redis. Each belongs to one test, listens
// on a free port of 127.0.0.1, keeps its files in the test's own directory and is
// gone when the test ends.
package testkit

import (
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// readyTimeout bounds how long a server may take to start.
const readyTimeout = 20 * time.Second

// NATSServer is an embedded nats-server with JetStream on disk.
type NATSServer struct {
	// Server is the running server. Start replaces it.
	Server *server.Server
	// URL is for clients: nats://127.0.0.1:<port>. It stays when the server is started again.
	URL string
	// Conn is a connection for the test's own use. It reconnects for ever.
	Conn *nats.Conn

	opts *server.Options
}

// NATS starts a server for t. Each change may adjust its options first, for example
// name a user and a password, or lower MaxPayload.
func NATS(t testing.TB, change ...func(*server.Options)) *NATSServer {
	t.Helper()
	n := &NATSServer{opts: &server.Options{
		ServerName: "testkit",
		Host:       "127.0.0.1",
		Port:       server.RANDOM_PORT,
		JetStream:  true,
		StoreDir:   t.TempDir(),
		NoLog:      true,
		NoSigs:     true,
	}}
	for _, c := range change {
		c(n.opts)
	}
	t.Cleanup(n.Stop)
	n.Start(t)
	n.URL = n.Server.ClientURL()
	n.opts.Port = n.Server.Addr().(*net.TCPAddr).Port
	n.Conn = n.Connect(t)
	return n
}

// Start starts the server again after Stop, on the same port and with the same files.
func (n *NATSServer) Start(t testing.TB) {
	t.Helper()
	opts := *n.opts // the server writes into its options
	s, err := server.NewServer(&opts)
	require.NoError(t, err)
	n.Server = s
	s.Start()
	require.True(t, s.ReadyForConnections(readyTimeout), "nats-server not ready within %s (is port %d taken?)", readyTimeout, opts.Port)
}

// Stop shuts the server down and waits for its end. Twice does no harm.
func (n *NATSServer) Stop() {
	if n.Server != nil {
		n.Server.Shutdown()
		n.Server.WaitForShutdown()
	}
}

// Connect opens one more connection, which is closed when t ends.
func (n *NATSServer) Connect(t testing.TB, opts ...nats.Option) *nats.Conn {
	t.Helper()
	return n.connect(t, n.URL, opts)
}

// ConnectOver is Connect over a link to the server. Resume or cut a stalled one before t ends.
func (n *NATSServer) ConnectOver(t testing.TB, l *Link, opts ...nats.Option) *nats.Conn {
	t.Helper()
	return n.connect(t, "nats://"+l.Addr, opts)
}

// Link makes a link to the server.
func (n *NATSServer) Link(t testing.TB) *Link {
	t.Helper()
	return NewLink(t, n.Server.Addr().String())
}

func (n *NATSServer) connect(t testing.TB, url string, opts []nats.Option) *nats.Conn {
	t.Helper()
	opts = append([]nats.Option{
		nats.UserInfo(n.opts.Username, n.opts.Password),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(20 * time.Millisecond),
	}, opts...)
	closed := make(chan struct{})
	opts = append(opts, nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	nc, err := nats.Connect(url, opts...)
	require.NoError(t, err)
	t.Cleanup(func() {
		nc.Close()
		<-closed
	})
	return nc
}

// NoDirectGets fails t at its end if a client has asked a stream or a bucket for a message by a direct get: a server of a
// cluster that lags may answer it.
func (n *NATSServer) NoDirectGets(t testing.TB) {
	t.Helper()
	spy := n.Connect(t)
	asked, err := spy.SubscribeSync("$JS.API.DIRECT.GET.>")
	require.NoError(t, err)
	require.NoError(t, spy.Flush())
	t.Cleanup(func() {
		for {
			m, err := asked.NextMsg(time.Millisecond)
			if err != nil {
				return
			}
			t.Errorf("a message was asked for by a direct get: %s %s", m.Subject, m.Data)
		}
	})
}

// natsGoroutines are those of the server, which come and go with its clients, streams and consumers at times of its own.
func natsGoroutines() (out []goleak.Option) {
	for _, f := range []string{
		"(*Server).startGoRoutine.func1",
		"(*stream).internalLoop",
		"(*stream).signalConsumersLoop",
		"(*consumer).loopAndGatherMsgs",
		"(*consumer).processInboundAcks",
		"(*consumer).processInboundNextMsgReqs",
		"(*fileStore).flushStreamStateLoop",
		"(*msgBlock).flushLoop",
	} {
		out = append(out, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server."+f))
	}
	return out
}
