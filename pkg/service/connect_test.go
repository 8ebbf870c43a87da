package service

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/testkit"
)

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 5*time.Millisecond)
}

func TestConnectNATSReconnectsAndSaysSo(t *testing.T) {
	const secret = "hunter2"
	s := testkit.NATS(t, func(o *server.Options) { o.Username, o.Password = "u", secret })
	var book testkit.Log
	cfg := Config{App: "shop", NATS: strings.Replace(s.URL, "://", "://u:"+secret+"@", 1)}
	nc, err := ConnectNATS(cfg, "router", book.Logger())
	require.NoError(t, err)
	defer closeNATS(nc)
	require.Equal(t, "shop-router", nc.Opts.Name)
	ready := NATSReady(nc)
	require.NoError(t, ready(t.Context()))

	s.Stop()
	eventually(t, func() bool { return strings.Contains(book.String(), "disconnected from NATS") })
	eventually(t, func() bool { return ready(context.Background()) != nil })
	require.EqualError(t, ready(t.Context()), "connection to NATS is reconnecting")
	require.ErrorIs(t, nc.Publish("x", nil), nats.ErrReconnectBufExceeded, "nothing is kept for later")

	s.Start(t)
	eventually(t, func() bool { return strings.Contains(book.String(), "reconnected to NATS") })
	require.NoError(t, ready(t.Context()))
	require.NotContains(t, book.String(), secret)
}

// closeNATS closes nc and waits for its callbacks.
func closeNATS(nc *nats.Conn) {
	closed := make(chan struct{})
	nc.SetClosedHandler(func(*nats.Conn) { close(closed) })
	nc.Close()
	<-closed
}

func TestConnectNATSWithoutServer(t *testing.T) {
	locked := testkit.NATS(t, func(o *server.Options) { o.Username, o.Password = "u", "right" })
	for name, c := range map[string]struct{ url, want string }{
		"absent":         {"nats://u:secret@" + testkit.Refusing, "cannot reach NATS at nats://u:***@127.0.0.1:"},
		"mute":           {"nats://" + testkit.Mute(t), "cannot reach NATS at nats://127.0.0.1:"},
		"two mute":       {"nats://" + testkit.Mute(t) + ",nats://" + testkit.Mute(t), "cannot reach NATS at nats://127.0.0.1:"},
		"wrong password": {strings.Replace(locked.URL, "://", "://u:secret@", 1), "refuses the login: nats: Authorization Violation: check user, password or token in --nats"},
		"bad url":        {"nats://u:secret%@h:1", "bad --nats=nats://u:***@h:1: not a valid URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, err := ConnectNATS(Config{App: "a", NATS: c.url}, "x", slog.New(slog.DiscardHandler))
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "--nats")
			require.Equal(t, strings.HasPrefix(c.want, "cannot reach"), strings.Contains(err.Error(), "is it running?"), "%v", err)
			require.NotContains(t, err.Error(), "secret")
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, time.Since(began), 5*time.Second)
		})
	}
}

// nats.Connect would split the URL at the password's comma.
func TestConnectNATSWithACommaInThePassword(t *testing.T) {
	s := testkit.NATS(t, func(o *server.Options) { o.Username, o.Password = "u", "12,34" })
	url := strings.Replace(s.URL, "://", "://u:12,34@", 1)
	nc, err := ConnectNATS(Config{App: "a", NATS: "nats://" + testkit.Refusing + "," + url}, "x", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	closeNATS(nc)
}
