package route

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/ring"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second // for what takes milliseconds on an idle machine

// system is a server and a router on it.
type system struct {
	*testkit.NATSServer
	js     jetstream.JetStream
	router *Router
	cfg    Config
	reg    *prometheus.Registry

	epoch topology.Epoch // of ring, once subject was asked
	ring  *ring.Ring
}

func newSystem(t testing.TB, change ...func(*Config)) *system {
	s := &system{NATSServer: testkit.NATS(t), cfg: Config{
		App:     "app",
		Initial: topology.Initial{Shards: 5, Lanes: 2, Log: topology.Log{Replicas: 1, MaxBytes: 64 << 20}},
		Log:     slog.New(slog.DiscardHandler),
	}}
	for _, c := range change {
		c(&s.cfg)
	}
	var err error
	s.js, err = jetstream.New(s.Conn)
	require.NoError(t, err)
	s.reg = prometheus.NewRegistry()
	s.cfg.Metrics = s.reg
	s.router = s.start(t, s.cfg)
	return s
}

// connect makes a connection as services have it.
func connect(t testing.TB, n *testkit.NATSServer) *nats.Conn {
	return n.Connect(t, nats.ReconnectBufSize(-1))
}

// start starts one more router.
func (s *system) start(t testing.TB, cfg Config) *Router {
	r, err := New(connect(t, s.NATSServer), cfg)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.Stop(ctx)
	})
	return r
}

// event is an event of a test: its key and how large its data is.
type event struct {
	key  string
	size int
}

// encode makes a frame of a session, with seqs from floor on.
func encode(t require.TestingT, s frame.Session, floor uint64, events ...event) []byte {
	b := frame.AppendHeader(nil, s, floor)
	for i, e := range events {
		d, err := frame.NewDraft(e.key, make([]byte, e.size), "", nil, false)
		require.NoError(t, err)
		b = frame.AppendEvent(b, d, floor+uint64(i))
	}
	return b
}

// session is the n-th publisher of a test, born now.
func session(n byte) frame.Session {
	return frame.Session{Publisher: frame.PublisherID{n}, Generation: 1, Birth: time.Now().UnixMilli()}
}

// answer reads an answer to a frame, but for its seq: one that a frame is stored must have one.
func answer(t testing.TB, data []byte) frame.Answer {
	a, err := frame.DecodeAnswer(data)
	require.NoError(t, err)
	require.True(t, a.Seq > 0 || a.Code != frame.Stored, "a frame is stored, and the answer does not say which")
	a.Seq = 0
	return a
}

// send sends a frame and returns its answer.
func (s *system) send(t testing.TB, data []byte) frame.Answer {
	m, err := s.Conn.Request(topology.FrameSubject("app"), data, patience)
	require.NoError(t, err)
	return answer(t, m.Data)
}

// sender sends and reads the answers later.
type sender struct {
	nc  *nats.Conn
	sub *nats.Subscription
}

func (s *system) sender(t testing.TB) *sender {
	sub, err := s.Conn.SubscribeSync(s.Conn.NewInbox())
	require.NoError(t, err)
	require.NoError(t, s.Conn.Flush(), "the server does not know of the inbox")
	return &sender{s.Conn, sub}
}

func (s *sender) send(t testing.TB, subject string, data []byte) {
	require.NoError(t, s.nc.PublishRequest(subject, s.sub.Subject, data))
}

func (s *sender) answer(t testing.TB) []byte {
	t.Helper()
	m, err := s.sub.NextMsg(patience)
	require.NoError(t, err)
	return m.Data
}

// none requires that nothing was answered up to now, by what the router has handled. Whoever means a message that it may not
// yet have handled sends another one behind it, and takes the answer to that first.
func (s *sender) none(t testing.TB, r *Router) {
	t.Helper()
	require.NoError(t, r.nc.Flush())
	require.NoError(t, s.nc.Flush())
	n, _, err := s.sub.Pending()
	require.NoError(t, err)
	require.Zero(t, n)
}

// stored returns the messages of the logs, by subject.
func (s *system) stored(t testing.TB) map[string][]*jetstream.RawStreamMsg {
	all := make(map[string][]*jetstream.RawStreamMsg)
	for lane := range s.cfg.Initial.Lanes {
		log, err := s.js.Stream(t.Context(), topology.StreamName("app", 1, lane))
		require.NoError(t, err)
		for seq := uint64(1); seq <= log.CachedInfo().State.LastSeq; seq++ {
			m, err := log.GetMsg(t.Context(), seq)
			require.NoError(t, err)
			for _, h := range []string{"Nats-Sequence", "Nats-Stream", "Nats-Subject", "Nats-Time-Stamp"} {
				m.Header.Del(h) // from the reading, not from the log
			}
			all[m.Subject] = append(all[m.Subject], m)
		}
	}
	return all
}

// events returns the events of the stored batches, by key, as publisher/seq.
func (s *system) events(t testing.TB) map[string][]string {
	keys := make(map[string][]string)
	var part frame.Frame
	for subject, messages := range s.stored(t) {
		for _, m := range messages {
			require.Empty(t, m.Header, "a batch has no headers")
			at, parts, err := frame.ReadMark(m.Data)
			require.NoError(t, err)
			require.True(t, strings.HasSuffix(subject, fmt.Sprint(".", at.Shard)) && at.Epoch == 1, "%s: %s", subject, at)
			require.NoError(t, frame.Parts(parts, &part, func(fr *frame.Frame) error {
				for _, e := range fr.Events {
					require.Equal(t, s.subject(t, string(e.Key)), subject)
					keys[string(e.Key)] = append(keys[string(e.Key)], fmt.Sprint(fr.Session.Publisher[0], "/", e.Seq))
				}
				return nil
			}))
		}
	}
	return keys
}

// subject is where a key's events belong.
func (s *system) subject(t testing.TB, key string) string {
	if s.ring == nil {
		top, err := topology.Load(t.Context(), s.js, "app")
		require.NoError(t, err)
		s.epoch = top.Current()
		s.ring, err = s.epoch.Ring()
		require.NoError(t, err)
	}
	shard := s.ring.Shard(key)
	return topology.WorkSubject("app", s.epoch.Epoch, s.epoch.Lane(shard), shard)
}

// counter is the value of one of the router's counters, over all labels.
func (s *system) counter(t testing.TB, name string) (sum float64) {
	families, err := s.reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "app_router_"+name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// slowLog takes the place of JetStream: it takes the messages of routers, and confirms them when the test says so.
type slowLog struct {
	sub *nats.Subscription
	seq int
}

func (s *system) slowLog(t testing.TB) *slowLog {
	for lane := range s.cfg.Initial.Lanes {
		require.NoError(t, s.js.DeleteStream(t.Context(), topology.StreamName("app", 1, lane)))
	}
	sub, err := s.Conn.SubscribeSync("app.work.>")
	require.NoError(t, err)
	require.NoError(t, s.Conn.Flush())
	return &slowLog{sub: sub}
}

func (l *slowLog) take(t testing.TB) *nats.Msg {
	t.Helper()
	m, err := l.sub.NextMsg(patience)
	require.NoError(t, err)
	return m
}

func (l *slowLog) confirm(t testing.TB, m *nats.Msg) {
	l.seq++
	require.NoError(t, m.Respond([]byte(`{"stream":"X","seq":`+strconv.Itoa(l.seq)+`}`)))
}
