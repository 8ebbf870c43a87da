package route

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/publish"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// held is how many bytes the router holds.
func (s *system) held() int {
	s.router.mu.Lock()
	defer s.router.mu.Unlock()
	return s.router.gather.Held()
}

// startPublisher starts a publisher as applications have it.
func startPublisher(t *testing.T, nc *nats.Conn) *publish.Publisher {
	p, err := publish.New(nc, publish.Config{App: "app"})
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, p.Stop(context.Background())) })
	return p
}

// confirmAll confirms all messages that the router publishes from now on, and returns a function that ends it.
func (l *slowLog) confirmAll(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for {
			m, err := l.sub.NextMsgWithContext(ctx)
			if err != nil {
				return
			}
			l.seq++
			if err := m.Respond([]byte(`{"stream":"X","seq":` + strconv.Itoa(l.seq) + `}`)); err != nil {
				t.Error(err)
			}
		}
	})
	return func() { cancel(); done.Wait() }
}

// While the log takes nothing, the router fills to its bound and then says that it is busy, again and again.
func TestStalledLog(t *testing.T) {
	s := newSystem(t, func(c *Config) { c.MaxBytes = MinMaxBytes })
	log := s.slowLog(t)
	p := startPublisher(t, s.Connect(t))
	var handles []*publish.Handle
	for i := range 400 {
		h, err := p.SendAsync(fmt.Sprint("key-", i%50), make([]byte, 10_000))
		require.NoError(t, err)
		handles = append(handles, h)
	}
	require.Eventually(t, func() bool {
		require.LessOrEqual(t, s.held(), MinMaxBytes)
		return s.refused(t, frame.Busy.String()) > 20
	}, patience, patience/4000)
	require.Greater(t, s.held(), MinMaxBytes/4)

	stop := log.confirmAll(t)
	require.NoError(t, p.Flush(t.Context()))
	stop()
	for _, h := range handles {
		require.NoError(t, h.Err())
	}
	require.Zero(t, s.held())
}

// Whoever sends plain events without end is refused in the same way.
func TestStalledLogAndPlainEvents(t *testing.T) {
	s := newSystem(t, func(c *Config) { c.MaxBytes = MinMaxBytes })
	log := s.slowLog(t)
	from := s.sender(t)
	const flood, size = 2000, 1000
	for i := range flood {
		from.send(t, topology.EventSubject("app")+fmt.Sprint(".key-", i%50), make([]byte, size))
	}
	most := MinMaxBytes / (size + plainOverhead)
	for range flood - most { // what is taken is answered later
		require.Contains(t, string(from.answer(t)), fmt.Sprintf("this router holds %d bytes already", MinMaxBytes))
	}
	require.LessOrEqual(t, s.held(), MinMaxBytes)
	taken := int(s.counter(t, "plain_events_total"))
	require.LessOrEqual(t, taken, most)
	require.Greater(t, taken, most*9/10)

	defer log.confirmAll(t)()
	for range most - taken {
		require.Contains(t, string(from.answer(t)), "bytes already")
	}
	for range taken {
		require.NotContains(t, string(from.answer(t)), "error")
	}
	from.none(t, s.router)
	require.Zero(t, s.held())
}

// The router's connection stalls for longer than its permit lasts, with a batch published and its confirmation not yet back: it
// acknowledges nothing that was stored meanwhile, publishers send again, and each event is stored, in order by key, with copies.
func TestStalledConnection(t *testing.T) {
	s := newSystem(t)
	link := s.Link(t)
	cfg, reg := s.cfg, prometheus.NewRegistry()
	cfg.Metrics = reg
	r, err := New(s.ConnectOver(t, link, nats.ReconnectBufSize(-1)), cfg)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context()))
	defer func() { require.NoError(t, r.Stop(context.Background())) }()
	require.NoError(t, s.router.Stop(t.Context()))
	s.router, s.reg = r, reg
	p := startPublisher(t, s.Connect(t))
	require.NoError(t, p.Send(t.Context(), "before", nil))

	streams := s.streams(t)
	log := s.slowLog(t) // so that the stall comes between the batch and its confirmation
	h, err := p.SendAsync("key-0", make([]byte, 1000))
	require.NoError(t, err)
	handles := []*publish.Handle{h}
	batch := log.take(t)
	link.Stall()
	defer link.Resume()
	require.NoError(t, log.sub.Unsubscribe())
	for _, cfg := range streams {
		_, err := s.js.CreateStream(t.Context(), cfg)
		require.NoError(t, err)
	}
	require.NoError(t, s.Conn.PublishMsg(&nats.Msg{Subject: batch.Subject, Reply: batch.Reply, Data: batch.Data}))
	for i := 1; i < 400; i++ {
		h, err := p.SendAsync(fmt.Sprint("key-", i%50), make([]byte, 1000))
		require.NoError(t, err)
		handles = append(handles, h)
	}
	require.Eventually(t, func() bool { return r.Ready() != nil }, patience, patience/4000)
	link.Resume()
	require.NoError(t, p.Flush(t.Context()))
	require.Eventually(t, func() bool { return s.counter(t, "unacknowledged_total") > 0 }, patience, patience/4000)
	seqs := make(map[string][]uint64)
	for i, h := range handles {
		require.NoError(t, h.Err())
		key := fmt.Sprint("key-", i%50)
		seqs[key] = append(seqs[key], h.Seq())
	}
	for key, want := range seqs {
		require.Equal(t, want, s.firsts(t, p.ID(), key))
	}
}

// streams are the configurations of the logs.
func (s *system) streams(t testing.TB) (configs []jetstream.StreamConfig) {
	for lane := range s.cfg.Initial.Lanes {
		log, err := s.js.Stream(t.Context(), topology.StreamName("app", 1, lane))
		require.NoError(t, err)
		configs = append(configs, log.CachedInfo().Config)
	}
	return configs
}

// linked is the system's configuration for one more router, with metrics of its own.
func (s *system) linked() Config {
	cfg := s.cfg
	cfg.Metrics = prometheus.NewRegistry()
	return cfg
}

// refused is how often the router refused with a code.
func (s *system) refused(t testing.TB, code string) (n float64) {
	families, err := s.reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "app_router_refused_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == code {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// firsts are the seqs of a publisher's events of a key as they lie in the log, without later copies.
func (s *system) firsts(t testing.TB, publisher frame.PublisherID, key string) (seqs []uint64) {
	seen := make(map[uint64]bool)
	var part frame.Frame
	for _, m := range s.stored(t)[s.subject(t, key)] {
		require.NoError(t, frame.Parts(m.Data, &part, func(fr *frame.Frame) error {
			for _, e := range fr.Events {
				if fr.Session.Publisher == publisher && string(e.Key) == key && !seen[e.Seq] {
					seen[e.Seq] = true
					seqs = append(seqs, e.Seq)
				}
			}
			return nil
		}))
	}
	return seqs
}

// When more waits than the router can take, it refuses before the client would drop.
func TestOverload(t *testing.T) {
	var o overload
	messages, bytes := 0, 0
	pending := func() (int, int, error) { return messages, bytes, nil }
	look := func() bool {
		for range checkEvery - 1 {
			o.check(pending)
		}
		return o.check(pending)
	}
	require.False(t, look())
	messages = busyWaiting + 1
	require.True(t, look())
	messages, bytes = 0, busyWaitingBytes+1
	require.True(t, o.check(pending))
	bytes = busyWaitingBytes
	require.False(t, o.check(pending), "seen at once")
}

func TestOverloadedRouterRefuses(t *testing.T) {
	s := newSystem(t)
	from := s.sender(t)
	s.router.mu.Lock() // holds takeFrame up
	data := encode(t, session(1), 1, event{"key", 1})
	for range busyWaiting + 3*checkEvery {
		from.send(t, topology.FrameSubject("app"), data)
	}
	require.NoError(t, s.Conn.Flush())
	require.NoError(t, s.router.nc.Flush())
	s.router.mu.Unlock()
	require.Eventually(t, func() bool { return s.refused(t, frame.Busy.String()) > 0 }, patience, patience/4000)
	stored := 0
	for range busyWaiting + 3*checkEvery {
		if a := answer(t, from.answer(t)); a.Code == frame.Stored {
			stored++
		} else {
			require.Equal(t, frame.Answer{Code: frame.Busy, Reason: errOverloaded.Error(), Retry: true}, a)
		}
	}
	require.NotZero(t, stored)
	require.EqualValues(t, stored, s.counter(t, "frames_total"))
}
