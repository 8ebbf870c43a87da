package service

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/testkit"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newAdmin(t *testing.T) *Admin {
	a, err := NewAdmin(Config{Admin: "127.0.0.1:0", PProf: true}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Stop(context.Background()) })
	return a
}

func startAdmin(t *testing.T) *Admin {
	a := newAdmin(t)
	require.NoError(t, a.Start(t.Context()))
	return a
}

func get(t *testing.T, a *Admin, path string) (int, string) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + a.Addr() + path)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func ready(t *testing.T, a *Admin) (int, Readiness) {
	code, body := get(t, a, "/readyz")
	var r Readiness
	require.NoError(t, json.Unmarshal([]byte(body), &r), body)
	return code, r
}

func TestAdminPaths(t *testing.T) {
	a := startAdmin(t)
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "app_sample_total"})
	a.Registry().MustRegister(counter)
	counter.Add(3)
	for path, want := range map[string]string{
		"/healthz":               "ok\n",
		"/metrics":               "app_sample_total 3\n",
		"/debug/pprof/":          "goroutine",
		"/debug/pprof/goroutine": "",
	} {
		code, body := get(t, a, path)
		require.Equal(t, http.StatusOK, code, path)
		require.Contains(t, body, want, path)
	}
	for _, path := range []string{"/", "/debug/pprof/cmdline"} {
		code, _ := get(t, a, path)
		require.Equal(t, http.StatusNotFound, code, path)
	}
}

func TestProfilesHaveASwitch(t *testing.T) {
	a, err := NewAdmin(Config{Admin: "127.0.0.1:0"}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Stop(context.Background()) })
	require.NoError(t, a.Start(t.Context()))
	for _, path := range []string{"", "cmdline", "heap", "profile?seconds=1", "symbol", "trace"} {
		code, _ := get(t, a, "/debug/pprof/"+path)
		require.Equal(t, http.StatusNotFound, code, path)
	}
}

func TestMetricsOfTheProcess(t *testing.T) {
	_, body := get(t, startAdmin(t), "/metrics")
	require.Contains(t, body, "go_goroutines")
}

func TestReadyz(t *testing.T) {
	a := startAdmin(t)
	code, r := ready(t, a)
	require.Equal(t, 200, code)
	require.Equal(t, Readiness{Ready: true, Checks: map[string]string{"service": "ok"}}, r)

	a.Ready("nats", func(context.Context) error { return nil })
	a.Ready("redis", func(context.Context) error { return errors.New("gone") })
	code, r = ready(t, a)
	require.Equal(t, 503, code)
	require.Equal(t, Readiness{Checks: map[string]string{"service": "ok", "nats": "ok", "redis": "gone"}}, r)
	code, _ = get(t, a, "/healthz")
	require.Equal(t, 200, code, "the process itself is well")

	a.Ready("redis", func(context.Context) error { return nil })
	code, _ = ready(t, a)
	require.Equal(t, 200, code)
}

// A note is for operators: the service stays ready.
func TestReadyzNotes(t *testing.T) {
	a := startAdmin(t)
	text := "shard 3: stopped"
	a.Note("shards", func() string { return text })
	code, r := ready(t, a)
	require.Equal(t, 200, code)
	require.Equal(t, Readiness{Ready: true, Checks: map[string]string{"service": "ok"}, Notes: map[string]string{"shards": text}}, r)

	text = ""
	_, body := get(t, a, "/readyz")
	require.JSONEq(t, `{"ready":true,"checks":{"service":"ok"}}`, body)
}

func TestReadyzOfAHangingCheckAnswers(t *testing.T) {
	a := startAdmin(t)
	a.Ready("slow", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	code, r := ready(t, a)
	require.Equal(t, 503, code)
	require.Equal(t, "context deadline exceeded", r.Checks["slow"])
}

func TestStopAbortsRequests(t *testing.T) {
	a := startAdmin(t)
	arrived := make(chan struct{})
	a.Ready("hangs", func(ctx context.Context) error {
		close(arrived)
		<-ctx.Done()
		return context.Cause(ctx)
	})
	answered := make(chan int, 1)
	go func() {
		code, _ := get(t, a, "/readyz")
		answered <- code
	}()
	<-arrived
	require.NoError(t, a.Stop(t.Context()))
	require.Equal(t, 503, <-answered)
}

func TestAdminAddressTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, err = NewAdmin(Config{Admin: l.Addr().String()}, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "cannot listen at --admin="+l.Addr().String())
	require.ErrorContains(t, err, "address already in use")
}

func TestAdminFailsWhenItsListenerDoes(t *testing.T) {
	a := startAdmin(t)
	require.NoError(t, a.listener.Close())
	require.ErrorContains(t, <-a.Failed(), "admin endpoint")
}

func TestAdminStartStopStress(t *testing.T) {
	testkit.StressStartStop(t, func() lifecycle.Part { return newAdmin(t) })
}

func TestStopFreesThePort(t *testing.T) {
	for name, a := range map[string]*Admin{"started": startAdmin(t), "not started": newAdmin(t)} {
		require.NoError(t, a.Stop(t.Context()), name)
		l, err := net.Listen("tcp", a.Addr())
		require.NoError(t, err, name)
		require.NoError(t, l.Close())
	}
}

func TestHardStopWaitsForItsRequests(t *testing.T) {
	a := startAdmin(t)
	arrived := make(chan struct{})
	var left atomic.Bool
	a.Ready("hangs", func(ctx context.Context) error {
		close(arrived)
		<-ctx.Done()
		for range 10_000 { // it takes its time
			runtime.Gosched()
		}
		left.Store(true)
		return nil
	})
	var client sync.WaitGroup
	client.Go(func() {
		if resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + a.Addr() + "/readyz"); err == nil {
			_ = resp.Body.Close()
		}
	})
	<-arrived
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, a.Stop(ended), context.Canceled)
	require.True(t, left.Load(), "a request is still being answered")
	client.Wait()
}
