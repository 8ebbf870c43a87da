package consume

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

var background = context.Background()

func eventually(t *testing.T, condition func() bool, what string, args ...any) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 5*time.Millisecond, append([]any{what}, args...)...)
}

// rig is a log and a store on real servers, into which tests write what routers would.
type rig struct {
	t      *testing.T
	nats   *testkit.NATSServer
	js     jetstream.JetStream
	rdb    redis.UniversalClient
	topo   topology.Topology
	kv     jetstream.KeyValue
	shards int

	streamConfig jetstream.StreamConfig

	seq  uint64              // of publisher 1
	want map[string][]string // ids by key
}

func newRig(t *testing.T, shards int) *rig { return newRigOn(t, shards, testkit.Redis(t)) }

func newRigOn(t *testing.T, shards int, redisAddr string) *rig {
	return newRigIn(t, shards, redisAddr, testkit.NATS(t), 1)
}

// newRigIn makes a rig whose log has so many replicas.
func newRigIn(t *testing.T, shards int, redisAddr string, n *testkit.NATSServer, replicas int) *rig {
	rdb := redis.NewClient(&redis.Options{Addr: redisAddr})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return newRigWith(t, shards, rdb, n, replicas)
}

// newRigWith makes a rig whose store is reached by a client, which must have answered.
func newRigWith(t *testing.T, shards int, rdb redis.UniversalClient, n *testkit.NATSServer, replicas int) *rig {
	r := &rig{t: t, nats: n, rdb: rdb, shards: shards, want: make(map[string][]string)}
	var err error
	r.nats.NoDirectGets(t)
	r.js, err = jetstream.New(r.nats.Conn)
	require.NoError(t, err)
	initial := topology.Initial{Shards: shards, Lanes: 1, Log: topology.Log{Replicas: replicas, MaxBytes: 1 << 30}}
	r.topo, r.kv, err = topology.Open(background, r.js, "app", initial, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	s, err := r.js.Stream(background, r.stream())
	require.NoError(t, err)
	r.streamConfig = s.CachedInfo().Config
	return r
}

func (r *rig) stream() string { return topology.StreamName("app", 1, 0) }

func (r *rig) store() store.Store { return redisstore.New(r.rdb, "app", r.topo.ID) }

// put writes a message as it is into a shard's log and returns its stream sequence.
func (r *rig) put(shard int, data []byte, header nats.Header) uint64 {
	r.t.Helper()
	ack, err := r.js.PublishMsg(background, &nats.Msg{Subject: topology.WorkSubject("app", 1, 0, shard), Data: data, Header: header})
	require.NoError(r.t, err)
	return ack.Sequence
}

// send writes a batch of one event for each key, and notes what is to come of it.
func (r *rig) send(shard int, keys ...string) uint64 {
	r.t.Helper()
	p := sent{publisher: 1, generation: 1, floor: 1}
	for _, key := range keys {
		r.seq++
		p.events = append(p.events, sentEvent{seq: r.seq, key: key, receipt: true})
		r.want[key] = append(r.want[key], fmt.Sprintf("%s-%d", frame.PublisherID{1}, r.seq))
	}
	return r.put(shard, batchFor(shard, p), nil)
}

// list is what the store has of a key's events that are set aside.
func (r *rig) list(key string) (out []string) {
	r.t.Helper()
	for shard := range r.shards {
		_, heads, err := r.store().States(background, shard, []string{key})
		require.NoError(r.t, err)
		if heads[0] == nil {
			continue
		}
		h, err := aside.DecodeHead(heads[0])
		require.NoError(r.t, err)
		for at := h.First; at < h.Next; {
			events, err := r.store().Aside(background, shard, "", key, at, 100)
			require.NoError(r.t, err)
			if len(events) == 0 { // the list was changed meanwhile
				return r.list(key)
			}
			for _, b := range events {
				e, err := aside.DecodeEvent(b)
				require.NoError(r.t, err)
				out = append(out, e.ID)
			}
			at += uint64(len(events))
		}
	}
	return out
}

// state is what the store has for a key.
func (r *rig) state(key string) []string {
	r.t.Helper()
	for shard := range r.shards {
		states, _, err := r.store().States(background, shard, []string{key})
		require.NoError(r.t, err)
		if states[0] != nil {
			return idsOf(r.t, states[0])
		}
	}
	return nil
}

// applied waits until all that was sent is applied or set aside, and holds it against what was sent.
func (r *rig) applied() {
	r.t.Helper()
	ends, err := topology.Ends(background, r.js, "app", r.topo.Current())
	require.NoError(r.t, err)
	for shard, end := range ends {
		eventually(r.t, func() bool {
			shards, err := r.store().Shards(background, r.shards) // go-redis may be the last to know that its server is back
			return err == nil && shards[shard].Position.Seq >= end
		}, "shard %d: not at %d", shard, end)
	}
	for key, want := range r.want {
		require.Equal(r.t, want, append(r.state(key), r.list(key)...), "key %s", key)
	}
}

func (r *rig) position(shard int) uint64 {
	shards, err := r.store().Shards(background, r.shards)
	require.NoError(r.t, err)
	return shards[shard].Position.Seq
}

// tester is a worker with its log and metrics at hand.
type tester struct {
	*Worker
	t      *testing.T
	nc     *nats.Conn
	log    *logBook
	reg    *prometheus.Registry
	claims atomic.Uint64 // of ownAlone
}

// worker makes one whose handler remembers ids, and that looks often whether what stopped it is mended.
func (r *rig) worker(change ...func(*Config)) *tester {
	r.t.Helper()
	return r.workerOn(r.nats.Connect(r.t, nats.ReconnectBufSize(-1)), change...)
}

func (r *rig) workerOn(nc *nats.Conn, change ...func(*Config)) *tester {
	r.t.Helper()
	locker, err := lease.New(lease.Config{App: "app"}, r.rdb)
	require.NoError(r.t, err)
	w := &tester{t: r.t, nc: nc, log: new(logBook), reg: prometheus.NewRegistry()}
	cfg := Config{
		App: "app", Name: "w", Handler: collect(nil), Locker: group.Leases(locker), Metrics: w.reg,
		Store: func(id string) store.Store { return redisstore.New(r.rdb, "app", id) },
		Log:   slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg)
	}
	w.Worker, err = New(w.nc, cfg)
	require.NoError(r.t, err)
	w.owns = func(int, []byte) bool { return true } // tests send what they like to any shard
	w.waits = waits{
		idle: 50 * time.Millisecond, tip: 0, share: 2 * time.Millisecond, place: 200 * time.Millisecond, stopped: 50 * time.Millisecond, handover: handoverTime,
		count: 50 * time.Millisecond, look: time.Minute, token: 20 * time.Millisecond,
	}
	r.t.Cleanup(func() {
		_ = w.Stop(background)
		if r.t.Failed() {
			r.t.Logf("log of %s:\n%s", w.status().ID, w.log)
		}
	})
	return w
}

func (r *rig) start(change ...func(*Config)) *tester {
	r.t.Helper()
	w := r.worker(change...)
	require.NoError(r.t, w.Start(background))
	return w
}

func handler(h Handler) func(*Config) { return func(c *Config) { c.Handler = h } }

// metric is the value of a counter or a gauge.
func (w *tester) metric(name string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	require.NoError(w.t, err)
	for _, f := range families {
		if f.GetName() == "app_worker_"+name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	require.Fail(w.t, "no metric "+name)
	return 0
}

// shard is what the worker says of a shard.
func (w *tester) shard(n int) query.ShardStatus {
	for _, s := range w.status().Shards {
		if s.Shard == n {
			return s
		}
	}
	return query.ShardStatus{State: "not owned"}
}

// logBook is a log that tests may read while it is written.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBook) count(text string) int { return strings.Count(l.String(), text) }

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
