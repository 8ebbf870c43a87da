package permit

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// router is a permit with its watcher, as a router has them.
type router struct {
	*Permit
	kv      jetstream.KeyValue
	watcher *topology.Watcher
	off     atomic.Int64 // by how much its wall clock is off, in nanoseconds
}

func newRouter(t testing.TB, n *testkit.NATSServer, log *slog.Logger) *router {
	const id = "a"
	nc := n.Connect(t, nats.ReconnectBufSize(-1)) // as services connect
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, kv, err := topology.Open(t.Context(), js, "app", initial, quiet)
	require.NoError(t, err)
	r := &router{kv: kv}
	r.Permit, r.watcher, err = New(t.Context(), nc, kv, id, log)
	require.NoError(t, err)
	r.wall = func() time.Time { return time.Now().Add(time.Duration(r.off.Load())) }
	t.Cleanup(r.watcher.Stop)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.Stop(ctx)
	})
	return r
}

func (r *router) start(t testing.TB) *router {
	require.NoError(t, r.Start(t.Context()))
	return r
}

// awaitTerm waits until the permit is valid in that term.
func (r *router) awaitTerm(t testing.TB, term uint64) {
	t.Helper()
	require.Eventually(t, func() bool { n, valid := r.Valid(); return valid && n == term }, patience, time.Millisecond)
}

// entry is the router's permit in the bucket.
func (r *router) entry(t testing.TB) (entry, error) {
	e, err := r.kv.Get(t.Context(), topology.PermitKey(r.id))
	if err != nil {
		return entry{}, err
	}
	var v entry
	return v, json.Unmarshal(e.Value(), &v)
}

func TestPermit(t *testing.T) {
	t.Parallel()
	r := newRouter(t, testkit.NATS(t), quiet)
	_, valid := r.Valid()
	require.False(t, valid)
	r.start(t)
	term, valid := r.Valid()
	require.True(t, valid)
	require.EqualValues(t, 1, term)
	require.WithinDuration(t, time.Now(), r.BrokerTime(), 200*time.Millisecond)
	v, err := r.entry(t)
	require.NoError(t, err)
	require.Equal(t, entry{Schema: entrySchema, Renewal: v.Renewal, Epoch: 1}, v)

	// It is renewed for longer than it holds, without a gap.
	require.Eventually(t, func() bool {
		term, valid := r.Valid()
		require.True(t, valid)
		require.EqualValues(t, 1, term)
		v, err := r.entry(t)
		return err == nil && v.Renewal > uint64(TTL/RenewEvery)+2
	}, patience, 10*time.Millisecond)
	require.WithinDuration(t, time.Now(), r.BrokerTime(), 200*time.Millisecond)

	require.NoError(t, r.Stop(t.Context()))
	require.NoError(t, r.Stop(t.Context()))
	_, valid = r.Valid()
	require.False(t, valid)
	_, err = r.entry(t)
	require.ErrorIs(t, err, jetstream.ErrKeyNotFound)
}

// A renewal that was under way while the permit was given up must not bring it back.
func TestStoppedPermitDoesNotComeBack(t *testing.T) {
	r := newRouter(t, testkit.NATS(t), quiet).start(t)
	r.mu.Lock()
	r.sent[99] = r.now()
	r.mu.Unlock()
	require.NoError(t, r.Stop(t.Context()))
	put(t, r.kv, topology.PermitKey("a"), `{"schema":1,"renewal":99,"epoch":1}`)
	next := r.watcher.Current()
	next.Epochs = []topology.Epoch{{Epoch: 2, Shards: 1, Lanes: 1}}
	b, err := json.Marshal(next)
	require.NoError(t, err)
	put(t, r.kv, "topology", string(b))
	require.Eventually(t, func() bool { return r.watcher.Current().Current().Epoch == 2 }, patience, time.Millisecond)
	_, valid := r.Valid()
	require.False(t, valid)
}

func TestPermitRunsOutWithoutTheServer(t *testing.T) {
	t.Parallel()
	n := testkit.NATS(t)
	r := newRouter(t, n, quiet).start(t)
	n.Stop()
	stopped := time.Now()
	require.Eventually(t, func() bool {
		looked := time.Since(stopped)
		_, valid := r.Valid()
		require.False(t, valid && looked >= TTL, "valid %s after the last renewal could be stored", looked)
		return !valid
	}, patience, time.Millisecond)
	n.Start(t)
	r.awaitTerm(t, 2)
	t.Logf("back %s after the server was stopped", time.Since(stopped).Round(time.Millisecond))
}

// Renewals are stored, but this process does not hear of them: it may have missed a topology too.
func TestPermitRunsOutWithoutDeliveries(t *testing.T) {
	t.Parallel()
	r := newRouter(t, testkit.NATS(t), quiet).start(t)
	r.watcher.Stop()
	stopped := time.Now()
	require.Eventually(t, func() bool {
		looked := time.Since(stopped)
		_, valid := r.Valid()
		require.False(t, valid && looked >= TTL)
		return !valid
	}, patience, time.Millisecond)
	v, err := r.entry(t)
	require.NoError(t, err)
	require.Greater(t, v.Renewal, uint64(2))
}

func TestPermitWhoseWallClockJumps(t *testing.T) {
	t.Parallel()
	r := newRouter(t, testkit.NATS(t), quiet).start(t)
	r.off.Add(int64(time.Hour)) // as after a suspension
	term, valid := r.Valid()
	require.False(t, valid && term == 1)
	r.awaitTerm(t, 2)

	r.off.Add(-int64(time.Hour)) // set back: the monotonic clock has seen no gap
	v, err := r.entry(t)
	require.NoError(t, err)
	require.Eventually(t, func() bool { // until a renewal with the new time has been delivered
		term, valid := r.Valid()
		require.True(t, valid)
		require.EqualValues(t, 2, term)
		r.mu.Lock()
		defer r.mu.Unlock()
		_, waiting := r.sent[r.last]
		return r.last > v.Renewal+1 && !waiting
	}, patience, time.Millisecond)

	r.off.Add(int64(10 * time.Second)) // suspended again
	term, valid = r.Valid()
	require.False(t, valid && term == 2)
	r.awaitTerm(t, 3)
	require.WithinDuration(t, time.Now(), r.BrokerTime(), 200*time.Millisecond, "the broker's time does not follow ours")
}

func TestPermitStartEndsWithItsContext(t *testing.T) {
	n := testkit.NATS(t)
	r := newRouter(t, n, quiet)
	n.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := r.Start(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "take a router's permit")
}

func TestPermitStartStopStress(t *testing.T) {
	n := testkit.NATS(t)
	nc := n.Connect(t, nats.ReconnectBufSize(-1))
	_, kv, err := topology.Open(t.Context(), stream(t, n), "app", initial, quiet)
	require.NoError(t, err)
	hub := &permits{of: make(map[string]*Permit)}
	f, err := topology.Follow(t.Context(), nc, kv, quiet, func() {}, hub.deliver)
	require.NoError(t, err)
	defer f.Stop()
	testkit.StressStartStop(t, func() lifecycle.Part { return hub.permit(kv) })
	keys, err := kv.Keys(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"topology"}, keys, "permits that were not given up")
}

// permits delivers entries to many permits.
type permits struct {
	mu sync.Mutex
	of map[string]*Permit
}

func (ps *permits) permit(kv jetstream.KeyValue) *Permit {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	id := strconv.Itoa(len(ps.of))
	p := newPermit(kv, id, quiet)
	p.epoch, p.expect = func() uint64 { return 1 }, func(uint64) {}
	ps.of[id] = p
	return p
}

func (ps *permits) deliver(e jetstream.KeyValueEntry) {
	if e == nil {
		return
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	id := strings.TrimPrefix(e.Key(), topology.PermitKey(""))
	if p := ps.of[id]; p != nil {
		p.Delivered(id, e)
	}
}

// A permit whose bucket is gone says so, and not only that nothing answers.
func TestPermitWhoseBucketIsGone(t *testing.T) {
	t.Parallel()
	n := testkit.NATS(t)
	var log testkit.Log
	r := newRouter(t, n, log.Logger()).start(t)
	require.NoError(t, stream(t, n).DeleteKeyValue(t.Context(), topology.Bucket("app", "topology")))
	const says = `level=WARN msg="router permit not renewed" error="bucket app_topology: it is gone: restore it; or, if NATS was set up anew, restart the routers`
	require.Eventually(t, func() bool { return strings.Contains(log.String(), says) }, patience, time.Millisecond, "%s", &log)
	_, valid := r.Valid()
	require.False(t, valid)
}
