package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/route"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second // for what takes milliseconds on an idle machine

// newRouter starts a router of the app shop.
func newRouter(t *testing.T, n *testkit.NATSServer) {
	r, err := route.New(n.Connect(t, nats.ReconnectBufSize(-1)), route.Config{
		App: "shop", Initial: topology.Initial{Shards: 4, Lanes: 1, Log: topology.Log{Replicas: 1, MaxBytes: 1 << 30}},
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context()))
	t.Cleanup(func() { _ = r.Stop(context.Background()) })
}

// total is the state of a key in these tests. An event of the type "bad" parks its key.
type total struct {
	Sum  int    `json:"sum"`
	Type string `json:"type,omitempty"`
}

// newWorker starts a worker of the app shop.
func newWorker(t *testing.T, n *testkit.NATSServer) {
	rdb := redis.NewClient(&redis.Options{Addr: testkit.Redis(t)})
	t.Cleanup(func() { _ = rdb.Close() })
	locker, err := lease.New(lease.Config{App: "shop"}, rdb)
	require.NoError(t, err)
	w, err := consume.New(n.Connect(t, nats.ReconnectBufSize(-1)), consume.Config{
		App: "shop",
		Handler: consume.Typed(func(_ context.Context, s *total, e consume.Event) error {
			if e.Type == "bad" {
				return consume.Park(errors.New("it is bad"))
			}
			s.Sum, s.Type = s.Sum+len(e.Data), e.Type
			return nil
		}),
		Store:        func(id string) store.Store { return redisstore.New(rdb, "shop", id) },
		Locker:       group.Leases(locker),
		JanitorLease: func(ctx context.Context) (*lease.Lease, error) { return locker.TryNamed(ctx, "janitor") },
		Log:          slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	require.NoError(t, w.Start(t.Context()))
	t.Cleanup(func() { _ = w.Stop(context.Background()) })
}

// client talks to a front.
type client struct {
	front *Front
	url   string
	http  *http.Client
}

// newFront starts a front of the app shop.
func newFront(t *testing.T, n *testkit.NATSServer, change ...func(*Config)) *client {
	cfg := Config{
		App: "shop", Listen: "127.0.0.1:0", MaxBody: 1000, MaxRequests: 8, Timeout: patience,
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	}
	for _, c := range change {
		c(&cfg)
	}
	f, err := New(n.Connect(t, nats.ReconnectBufSize(-1)), cfg)
	require.NoError(t, err)
	require.NoError(t, f.Start(t.Context()))
	c := &client{front: f, url: "http://" + f.Addr(), http: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(func() {
		c.http.CloseIdleConnections()
		_ = f.Stop(context.Background()) // the test has stopped it, perhaps
	})
	return c
}

// do sends a request with headers, given by name and value, and returns the answer with its body.
func (c *client) do(t *testing.T, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := c.http.Do(req)
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res, string(text)
}

// post sends an event.
func (c *client) post(t *testing.T, key, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	return c.do(t, http.MethodPost, "/v1/events/"+key, body, append([]string{"Content-Type", "application/json"}, headers...)...)
}
