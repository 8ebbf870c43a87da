package route

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

func ended(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestStopIsSafeAtAnyTime(t *testing.T) {
	s := newSystem(t)
	before, err := New(connect(t, s.NATSServer), Config{App: "app", Initial: s.cfg.Initial, Log: s.cfg.Log})
	require.NoError(t, err)
	require.NoError(t, before.Stop(t.Context()))
	require.NoError(t, before.Stop(t.Context()))
	require.ErrorContains(t, before.Start(t.Context()), "was already started or stopped")
	require.Error(t, before.Ready())

	require.ErrorContains(t, s.router.Start(t.Context()), "was already started or stopped")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := s.router.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.NoError(t, s.router.Stop(ended(t)))
	require.Error(t, s.router.Ready())
	_, err = s.Conn.Request(topology.FrameSubject("app"), nil, patience)
	require.ErrorIs(t, err, nats.ErrNoResponders)
	kv, err := s.js.KeyValue(t.Context(), topology.Bucket("app", "topology"))
	require.NoError(t, err)
	keys, err := kv.Keys(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"topology"}, keys, "its permit is gone")
}

// Other routers take new frames at once; this router stores and answers the frames it holds before it ends.
func TestStopStoresHeldFrames(t *testing.T) {
	s := newSystem(t)
	log := s.slowLog(t)
	from := s.sender(t)
	from.send(t, topology.FrameSubject("app"), encode(t, session(1), 1, event{"key", 1}))
	first := log.take(t)
	from.send(t, topology.FrameSubject("app"), encode(t, session(1), 2, event{"key", 1}))
	require.Eventually(t, func() bool { return s.counter(t, "frames_total") == 2 }, patience, time.Millisecond)
	stopped := make(chan error, 1)
	go func() { stopped <- s.router.Stop(t.Context()) }()
	require.Eventually(t, func() bool {
		_, err := s.Conn.Request(topology.FrameSubject("app"), nil, patience)
		return errors.Is(err, nats.ErrNoResponders)
	}, patience, time.Millisecond)
	from.none(t, s.router)
	log.confirm(t, first)
	require.Zero(t, answer(t, from.answer(t)))
	log.confirm(t, log.take(t))
	require.Zero(t, answer(t, from.answer(t)))
	require.NoError(t, <-stopped)
}

func TestStopWhoseContextHasEnded(t *testing.T) {
	s := newSystem(t)
	log := s.slowLog(t)
	from := s.sender(t)
	from.send(t, topology.FrameSubject("app"), encode(t, session(1), 1, event{"key", 1}))
	first := log.take(t)
	from.send(t, topology.EventSubject("app")+".key", nil)
	log.take(t)
	begun := time.Now()
	err := s.router.Stop(ended(t))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "router stopped before all accepted events were stored")
	require.Less(t, time.Since(begun), storeTimeout/2)
	require.Equal(t, err, s.router.Stop(t.Context()), "the same to whoever asks again")
	answers := []string{string(from.answer(t)), string(from.answer(t))}
	require.ElementsMatch(t, []string{
		string(frame.Answer{Code: frame.Closing, Reason: "router is stopping", Retry: true, Seq: 1}.Append(nil)),
		`{"error":{"code":503,"err_code":0,"description":"router is stopping"}}`,
	}, answers)
	log.confirm(t, first)
	from.none(t, s.router)
}

func TestStopWithoutTheServer(t *testing.T) {
	for name, end := range map[string]func(*system){
		"gone":   func(s *system) { s.NATSServer.Stop() },
		"closed": func(s *system) { s.router.nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			end(s)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			begun := time.Now()
			_ = s.router.Stop(ctx)
			require.Less(t, time.Since(begun), 4*time.Second)
		})
	}
}

func TestStartThatFails(t *testing.T) {
	s := newSystem(t)
	other := func() *Router {
		r, err := New(connect(t, s.NATSServer), Config{App: "app", Initial: s.cfg.Initial, Log: s.cfg.Log})
		require.NoError(t, err)
		return r
	}
	r := other()
	require.ErrorIs(t, r.Start(ended(t)), context.Canceled)
	require.NoError(t, r.Stop(t.Context()))

	require.NoError(t, s.js.DeleteStream(t.Context(), topology.StreamName("app", 1, 1)))
	r = other()
	require.ErrorIs(t, r.Start(t.Context()), topology.ErrMismatch)
	require.Error(t, r.Ready())
	require.NoError(t, r.Stop(t.Context()))
	require.LessOrEqual(t, r.nc.NumSubscriptions(), 1, "more than the connection's own inbox for requests")
}

// With frames and plain events coming in.
func TestStartStopStress(t *testing.T) {
	n := testkit.NATS(t)
	cfg := Config{App: "app", Initial: topology.Initial{Shards: 4, Lanes: 1, Log: topology.Log{Replicas: 1, MaxBytes: 64 << 20}}, Log: slog.New(slog.DiscardHandler)}
	quit := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		for seq := uint64(1); ; seq++ {
			select {
			case <-quit:
				return
			default:
				_ = n.Conn.Publish(topology.FrameSubject("app"), encode(t, session(1), seq, event{"key", 10}))
				_ = n.Conn.Publish(topology.EventSubject("app")+".key", nil)
				_ = n.Conn.Flush()
			}
		}
	})
	nc := connect(t, n)
	testkit.StressStartStop(t, func() lifecycle.Part {
		r, err := New(nc, cfg)
		require.NoError(t, err)
		return r
	})
	close(quit)
	load.Wait()
	// The connection keeps its own inbox for requests.
	require.Eventually(t, func() bool { return nc.NumSubscriptions() <= 1 }, patience, 10*time.Millisecond)
}
