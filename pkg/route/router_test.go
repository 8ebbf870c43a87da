package route

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestFrameIsStoredWhereItsKeysBelong(t *testing.T) {
	s := newSystem(t)
	var events []event
	want := make(map[string][]string)
	for i := range 60 {
		key := fmt.Sprint("key-", i%40)
		events = append(events, event{key, 1 + i})
		want[key] = append(want[key], fmt.Sprint("1/", 100+i))
	}
	m, err := s.Conn.Request(topology.FrameSubject("app"), encode(t, session(1), 100, events...), patience)
	require.NoError(t, err)
	require.Zero(t, answer(t, m.Data))
	require.Equal(t, want, s.events(t))
	require.Len(t, s.stored(t), 5, "every shard got some")
	require.EqualValues(t, 60, s.counter(t, "events_total"))
	require.EqualValues(t, 5, s.counter(t, "batches_total"))
	require.NoError(t, s.router.Ready())

	// The largest event, and the largest frame of several.
	require.Zero(t, s.send(t, encode(t, session(2), 1, event{"large", frame.MaxEventBytes - 40})))
	b := encode(t, session(3), 1, event{"a", 1000}, event{"b", frame.MaxFrameBytes - 1200})
	b = encode(t, session(3), 1, event{"a", 1000}, event{"b", frame.MaxFrameBytes - 1200 + frame.MaxFrameBytes - len(b)})
	require.Len(t, b, frame.MaxFrameBytes)
	require.Zero(t, s.send(t, b))
}

func TestFramesGatherWhileTheLogIsSlow(t *testing.T) {
	s := newSystem(t)
	log := s.slowLog(t)
	from := s.sender(t)
	for i := range 50 {
		from.send(t, topology.FrameSubject("app"), encode(t, session(1), uint64(i+1), event{"key", 10}))
	}
	first := log.take(t)
	require.Eventually(t, func() bool { return s.counter(t, "frames_total") == 50 }, patience, time.Millisecond)
	from.none(t, s.router)
	log.confirm(t, first)
	require.Zero(t, answer(t, from.answer(t)))
	second := log.take(t)
	n := 0
	require.NoError(t, frame.Parts(second.Data, new(frame.Frame), func(*frame.Frame) error { n++; return nil }))
	require.Equal(t, 49, n)
	from.none(t, s.router)
	log.confirm(t, second)
	for range 49 {
		require.Zero(t, answer(t, from.answer(t)))
	}
}

func TestNew(t *testing.T) {
	n := testkit.NATS(t)
	good := Config{App: "app", Initial: topology.Initial{Shards: 1, Log: topology.Log{Replicas: 1, MaxBytes: 1 << 20}}, Log: slog.New(slog.DiscardHandler)}
	_, err := New(n.Conn, good)
	require.NoError(t, err)
	for want, change := range map[string]func(*Config){
		`app "App"`:                              func(c *Config) { c.App = "App" },
		"0 shards":                               func(c *Config) { c.Initial.Shards = 0 },
		"MaxBytes 1000: must be at least 540672": func(c *Config) { c.MaxBytes = 1000 },
	} {
		cfg := good
		change(&cfg)
		_, err := New(n.Conn, cfg)
		require.ErrorContains(t, err, want)
	}
}

func TestServerWithASmallMaxPayload(t *testing.T) {
	n := testkit.NATS(t, func(o *server.Options) { o.MaxPayload = 512 << 10 })
	r, err := New(n.Conn, Config{App: "app", Initial: topology.Initial{Shards: 1, Log: topology.Log{Replicas: 1, MaxBytes: 1 << 20}}, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.EqualError(t, r.Start(t.Context()), "NATS allows messages of 524288 bytes only; a router needs 540672: raise max_payload")
	require.NoError(t, r.Stop(t.Context()))
}

// Several senders, each of which repeats a frame until it is acknowledged; one of two routers stops meanwhile. All is there
// in the order sent, but for copies.
func TestStoppingOneOfTwoRoutersLosesNothing(t *testing.T) {
	for _, soft := range []bool{true, false} {
		t.Run(fmt.Sprintf("soft=%t", soft), func(t *testing.T) {
			s := newSystem(t)
			cfg := s.cfg
			cfg.Metrics = prometheus.NewRegistry()
			s.start(t, cfg)
			const senders, frames = 8, 150
			half := make(chan struct{}, senders)
			failed := make(chan error, senders)
			for n := range senders {
				nc := connect(t, s.NATSServer)
				go func() { failed <- sendAll(t, nc, byte(n+1), frames, half) }()
			}
			left := senders
			for reached := 0; reached < senders; {
				select {
				case <-half:
					reached++
				case err := <-failed:
					require.NoError(t, err)
					left--
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if !soft {
				cancel()
			}
			if err := s.router.Stop(ctx); soft {
				require.NoError(t, err)
			}
			for range left {
				require.NoError(t, <-failed)
			}
			want := make(map[string][]string)
			for n := 1; n <= senders; n++ {
				for seq := 1; seq <= frames; seq++ {
					want[fmt.Sprint("key-", n)] = append(want[fmt.Sprint("key-", n)], fmt.Sprint(n, "/", seq))
				}
			}
			got := s.events(t)
			for key, events := range got {
				got[key] = withoutCopies(events)
			}
			require.Equal(t, want, got)
		})
	}
}

// withoutCopies keeps the first of each.
func withoutCopies(events []string) (firsts []string) {
	seen := make(map[string]bool)
	for _, e := range events {
		if !seen[e] {
			seen[e] = true
			firsts = append(firsts, e)
		}
	}
	return firsts
}

// sendAll sends frames of one event each, one after the other, and says when half of them is acknowledged.
func sendAll(t testing.TB, nc *nats.Conn, n byte, frames int, half chan<- struct{}) error {
	who, deadline := session(n), time.Now().Add(patience)
	for seq := 1; seq <= frames; {
		m, err := nc.Request(topology.FrameSubject("app"), encode(t, who, uint64(seq), event{fmt.Sprint("key-", n), 100}), 500*time.Millisecond)
		switch {
		case time.Now().After(deadline):
			return fmt.Errorf("sender %d: frame %d is not acknowledged: %w", n, seq, err)
		case err != nil: // sent again
		case answer(t, m.Data).Code != frame.Stored:
			if a := answer(t, m.Data); !a.Retry {
				return a
			}
		default:
			if seq++; seq == frames/2 {
				half <- struct{}{}
			}
		}
	}
	return nil
}
