package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/testkit"
)

// read returns the key's state once it counts so many events.
func (c *client) read(t *testing.T, key string, applied, waiting uint64) state {
	t.Helper()
	var s state
	require.Eventually(t, func() bool {
		res, body := c.do(t, http.MethodGet, "/v1/states/"+key, "")
		return res.StatusCode == http.StatusOK && json.Unmarshal([]byte(body), &s) == nil && s.Applied == applied && s.Waiting == waiting
	}, patience, 10*time.Millisecond, "key %s", key)
	return s
}

func TestEventsAreStoredAndStatesAreRead(t *testing.T) {
	n := testkit.NATS(t)
	newRouter(t, n)
	newWorker(t, n)
	c := newFront(t, n)
	res, body := c.post(t, "alice", `{"amount":5}`, "Idempotency-Key", "order-1", "Event-Type", "paid")
	require.Equal(t, http.StatusAccepted, res.StatusCode, body)
	require.Equal(t, "application/json", res.Header.Get("Content-Type"))
	var first, again stored
	require.NoError(t, json.Unmarshal([]byte(body), &first))
	require.Equal(t, "SHOP_1_0", first.Stream)
	require.NotZero(t, first.Seq)
	require.False(t, first.Repeat)

	_, body = c.post(t, "alice", `{"amount":5}`, "Idempotency-Key", "order-1")
	require.NoError(t, json.Unmarshal([]byte(body), &again))
	require.Equal(t, stored{first.Stream, first.Seq, true}, again)
	_, body = c.post(t, "bob", `{"amount":5}`, "Idempotency-Key", "order-1")
	require.NoError(t, json.Unmarshal([]byte(body), &again))
	require.False(t, again.Repeat, "an id is of its key alone")

	s := c.read(t, "alice", 1, 0)
	require.JSONEq(t, `{"sum":12,"type":"paid"}`, string(s.State))
	require.Equal(t, "alice", s.Key)
	c.post(t, "alice", `1`)
	c.post(t, "alice", `1`)
	require.JSONEq(t, `{"sum":14}`, string(c.read(t, "alice", 3, 0).State), "without an id each request is an event")

	c.post(t, "carol", `1`, "Event-Type", "bad")
	s = c.read(t, "carol", 0, 1)
	require.True(t, s.Parked)
	require.Equal(t, "null", string(s.State))

	for _, key := range []string{"a/b", "a b", "größe", "..", "100%", "a?b#c", "a.b.*"} {
		res, body := c.post(t, url.PathEscape(key), `1`)
		require.Equal(t, http.StatusAccepted, res.StatusCode, "%s: %s", key, body)
		require.Equal(t, key, c.read(t, url.PathEscape(key), 1, 0).Key)
	}
	res, body = c.do(t, http.MethodHead, "/v1/states/alice", "")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Empty(t, body)
}

func TestUnknownPathsAndMethods(t *testing.T) {
	c := newFront(t, testkit.NATS(t))
	for _, r := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"GET", "/", 404, "there is nothing at /: see /openapi.json"},
		{"GET", "/v1/states/a/b", 404, "there is nothing at"},
		{"GET", "/v1/../openapi.json", 404, "there is nothing at"},
		{"GET", "/v1/events/a", 405, "takes POST"},
		{"PUT", "/v1/states/a", 405, "takes GET"},
		{"POST", "/openapi.json", 405, "takes GET"},
	} {
		res, body := c.do(t, r.method, r.path, "")
		require.Equal(t, r.status, res.StatusCode, "%s %s: %s", r.method, r.path, body)
		var p problem
		require.NoError(t, json.Unmarshal([]byte(body), &p))
		require.Contains(t, p.Error, r.says)
		require.Equal(t, r.status == 405, res.Header.Get("Allow") != "")
	}
}

// A request that ends while the front stops is answered, and none is taken afterwards.
func TestStopLetsRequestsEnd(t *testing.T) {
	n := testkit.NATS(t)
	asked := make(chan *nats.Msg, 1)
	_, err := n.Conn.Subscribe("shop.in.event.>", func(m *nats.Msg) { asked <- m })
	require.NoError(t, err)
	require.NoError(t, n.Conn.Flush())
	c := newFront(t, n)
	answered := make(chan string, 1)
	go func() {
		_, body := c.post(t, "alice", "1")
		answered <- body
	}()
	m := <-asked
	stopped := make(chan error, 1)
	go func() { stopped <- c.front.Stop(context.Background()) }()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", c.front.Addr())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, patience, time.Millisecond, "the front still listens")
	require.NoError(t, m.Respond([]byte(`{"stream":"SHOP_1_0","seq":9}`)))
	require.JSONEq(t, `{"stream":"SHOP_1_0","seq":9,"repeat":false}`, <-answered)
	require.NoError(t, <-stopped)
}

func TestHardStopGivesRequestsUp(t *testing.T) {
	n := testkit.NATS(t)
	asked := make(chan *nats.Msg, 1)
	_, err := n.Conn.Subscribe("shop.in.event.>", func(m *nats.Msg) { asked <- m })
	require.NoError(t, err)
	require.NoError(t, n.Conn.Flush())
	c := newFront(t, n, func(cfg *Config) { cfg.Timeout = time.Hour })
	ended := make(chan error, 1)
	go func() {
		res, err := c.http.Post(c.url+"/v1/events/alice", "application/json", strings.NewReader("1"))
		if err == nil {
			_ = res.Body.Close()
		}
		ended <- err
	}()
	<-asked
	hard, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, c.front.Stop(hard), context.Canceled)
	require.Error(t, <-ended)
}

func TestStartAndStop(t *testing.T) {
	n := testkit.NATS(t)
	nc := n.Connect(t)
	testkit.StressStartStop(t, func() lifecycle.Part {
		f, err := New(nc, Config{
			App: "shop", Listen: "127.0.0.1:0", MaxBody: 1, MaxRequests: 1, Timeout: 1,
			Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		})
		require.NoError(t, err)
		return f
	})
}

func TestMetricsAndHeaders(t *testing.T) {
	registry := prometheus.NewRegistry()
	c := newFront(t, testkit.NATS(t), func(cfg *Config) { cfg.Metrics = registry })
	res, _ := c.do(t, http.MethodGet, "/openapi.json", "")
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
	res, _ = c.do(t, http.MethodGet, "/v1/states/alice", "")
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Eventually(t, func() bool { // a request is counted once it is answered
		families, err := registry.Gather()
		require.NoError(t, err)
		counts := make(map[string]float64)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "shop_api_requests_total" {
					counts[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
		return counts["GET /openapi.json 200"] == 1 && counts["GET /v1/states/{key} 503"] == 1
	}, patience, time.Millisecond)
}

func TestBadConfiguration(t *testing.T) {
	n := testkit.NATS(t)
	taken := newFront(t, n).front.Addr()
	good := Config{App: "shop", Listen: "127.0.0.1:0", MaxBody: 1, MaxRequests: 1, Timeout: 1, Log: slog.New(slog.DiscardHandler)}
	for says, change := range map[string]func(*Config){
		"a body of at most 0 bytes":          func(c *Config) { c.MaxBody = 0 },
		"a body of at most 520193 bytes":     func(c *Config) { c.MaxBody = MaxMaxBody + 1 },
		"0 requests at a time":               func(c *Config) { c.MaxRequests = 0 },
		"a time-out of 0s":                   func(c *Config) { c.Timeout = 0 },
		`app "UPPER"`:                        func(c *Config) { c.App = "UPPER" },
		"cannot listen at --listen=" + taken: func(c *Config) { c.Listen = taken },
	} {
		cfg := good
		cfg.Metrics = prometheus.NewRegistry()
		change(&cfg)
		_, err := New(n.Conn, cfg)
		require.ErrorContains(t, err, says)
	}
}

// A client that sends its body slowly is told so, and one that sends no header is closed.
func slowBody(t *testing.T, c *client) (status int, body string) {
	conn, err := net.Dial("tcp", c.front.Addr())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprint(conn, "POST /v1/events/alice HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{")
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}

func TestConnectionThatSendsNothingIsClosed(t *testing.T) {
	c := newFront(t, testkit.NATS(t), func(cfg *Config) { cfg.bodyTimeout = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", c.front.Addr())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.ReadAll(conn)
	require.NoError(t, err, "the front has not closed it")
}
