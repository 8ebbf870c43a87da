package query_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/ring"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const wait = 20 * time.Second

func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	t.Cleanup(cancel)
	return ctx
}

type rig struct {
	nats   *testkit.NATSServer
	client *query.Client
	store  store.Store
}

func newRig(t *testing.T, change ...func(*server.Options)) *rig {
	n := testkit.NATS(t, change...)
	rdb := redis.NewClient(&redis.Options{Addr: testkit.Redis(t)})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return &rig{nats: n, client: query.NewClient(n.Conn, "app"), store: redisstore.New(rdb, "app", "one")}
}

func noPause(time.Duration, string) {}

// serve answers as a worker does.
func (r *rig) serve(t *testing.T, shards int, status query.Worker) *query.Server {
	s := query.NewServer(r.nats.Connect(t), "app", ringOf(t, shards), r.store, func() query.Worker { return status }, noPause)
	require.NoError(t, s.Start(limit(t)))
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s
}

// ringOf is that of the shards 0 to n-1.
func ringOf(t testing.TB, n int) *ring.Ring {
	r, err := topology.Epoch{Epoch: 1, Shards: n, Lanes: 1}.Ring()
	require.NoError(t, err)
	return r
}

// proof is that of the states that keep commits.
var proof = store.Proof{Count: 3, Chain: 0xabc}

// keep commits a state for each key, its data n bytes long.
func (r *rig) keep(t *testing.T, shard int, n int, keys ...string) {
	v := store.NewVersion()
	_, err := r.store.Claim(limit(t), shard, 5, v)
	require.NoError(t, err)
	c := &store.Commit{Shard: shard, Old: v, New: store.NewVersion(), Position: store.Position{Epoch: 1, Seq: uint64(10 + shard), Time: time.Unix(7, 0)}}
	for _, k := range keys {
		data := k + strings.Repeat(".", max(0, n-len(k)))
		c.States = append(c.States, store.Pair{Key: k, Value: store.Envelope{Codec: store.CodecJSON, Schema: 3, Data: []byte(data)}.Append(proof.Append(nil))})
	}
	require.NoError(t, r.store.Commit(limit(t), c))
}

func TestStates(t *testing.T) {
	r := newRig(t)
	r.serve(t, 1, query.Worker{})
	r.serve(t, 1, query.Worker{})
	r.keep(t, 0, 0, "a", "ключ", "c d")
	states, err := r.client.States(limit(t), []string{"c d", "none", "a", "ключ", "a"})
	require.NoError(t, err)
	require.Len(t, states, 5)
	for i, key := range []string{"c d", "none", "a", "ключ", "a"} {
		if key == "none" {
			require.Equal(t, query.State{Key: "none"}, states[i])
			continue
		}
		require.Equal(t, query.State{Key: key, Found: true, Count: 3, Chain: "0000000000000abc", Codec: store.CodecJSON, Schema: 3, Data: []byte(key)}, states[i])
	}
	states, err = r.client.States(limit(t), nil)
	require.NoError(t, err)
	require.Empty(t, states)
}

// NATS hands a worker that hangs its share of the queries. They are answered by another.
func TestQueriesGoAroundAWorkerThatHangs(t *testing.T) {
	r := newRig(t)
	r.keep(t, 0, 0, "a")
	r.serve(t, 1, query.Worker{})
	hung := r.nats.Connect(t)
	_, err := hung.QueueSubscribeSync(topology.ControlSubject("app", "query"), "query")
	require.NoError(t, err)
	_, err = hung.SubscribeSync(topology.ControlSubject("app", "query.any"))
	require.NoError(t, err)
	require.NoError(t, hung.Flush())
	for range 12 {
		ctx, cancel := context.WithTimeout(context.Background(), wait/2)
		states, err := r.client.States(ctx, []string{"a"})
		cancel()
		require.NoError(t, err)
		require.True(t, states[0].Found)
	}
}

// So are those that a worker gets while it stops.
func TestQueriesGoAroundAWorkerThatStops(t *testing.T) {
	r := newRig(t)
	r.keep(t, 0, 0, "a")
	r.serve(t, 1, query.Worker{})
	stopping := r.nats.Connect(t)
	_, err := stopping.QueueSubscribe(topology.ControlSubject("app", "query"), "query", func(m *nats.Msg) {
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{micro.ErrorCodeHeader: {"503"}, micro.ErrorHeader: {"stopping"}}})
	})
	require.NoError(t, err)
	require.NoError(t, stopping.Flush())
	for range 12 {
		states, err := r.client.States(limit(t), []string{"a"})
		require.NoError(t, err)
		require.True(t, states[0].Found)
	}
}

func TestTooManyKeys(t *testing.T) {
	r := newRig(t)
	r.serve(t, 1, query.Worker{})
	keys := make([]string, query.MaxKeys+1)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	_, err := r.client.States(limit(t), keys)
	require.ErrorContains(t, err, "1001 keys: at most 1000 are allowed")
	states, err := r.client.States(limit(t), keys[:query.MaxKeys])
	require.NoError(t, err)
	require.Len(t, states, query.MaxKeys)
}

func TestNotAQuery(t *testing.T) {
	r := newRig(t)
	r.serve(t, 1, query.Worker{})
	for _, body := range []string{"", "hello", `{"keys":"a"}`, `[]`} {
		m, err := r.nats.Conn.Request(topology.ControlSubject("app", "query"), []byte(body), wait)
		require.NoError(t, err)
		require.Equal(t, "400", m.Header.Get(micro.ErrorCodeHeader), body)
		require.Contains(t, m.Header.Get(micro.ErrorHeader), `send {"keys":[...]}`)
	}
}

// An answer is bounded by one message; the client asks for fewer keys until it fits.
func TestLargeAnswersAreSplit(t *testing.T) {
	r := newRig(t, func(o *server.Options) { o.MaxPayload = 64 << 10 })
	r.serve(t, 1, query.Worker{})
	keys := make([]string, 37)
	for i := range keys {
		keys[i] = fmt.Sprint("key-", i)
	}
	r.keep(t, 0, 8<<10, keys...)
	states, err := r.client.States(limit(t), keys)
	require.NoError(t, err)
	require.Len(t, states, len(keys))
	for i, s := range states {
		require.Equal(t, keys[i], s.Key)
		require.True(t, strings.HasPrefix(string(s.Data), s.Key+"."))
		require.Len(t, s.Data, 8<<10)
	}
	r.keep(t, 0, 64<<10, "large")
	_, err = r.client.States(limit(t), []string{"large"})
	require.ErrorContains(t, err, "too large for one message")
}

// So is a request: keys of 512 bytes that JSON has to escape.
func TestLargeRequestsAreSplit(t *testing.T) {
	r := newRig(t)
	r.serve(t, 1, query.Worker{})
	keys := make([]string, query.MaxKeys)
	for i := range keys {
		keys[i] = strings.Repeat("\x01", 500) + fmt.Sprint(i)
	}
	states, err := r.client.States(limit(t), keys)
	require.NoError(t, err)
	for i, s := range states {
		require.Equal(t, keys[i], s.Key)
	}
}

func TestStateThatCannotBeRead(t *testing.T) {
	r := newRig(t)
	r.serve(t, 1, query.Worker{})
	v := store.NewVersion()
	_, err := r.store.Claim(limit(t), 0, 1, v)
	require.NoError(t, err)
	require.NoError(t, r.store.Commit(limit(t), &store.Commit{Old: v, New: store.NewVersion(), States: []store.Pair{{Key: "k", Value: []byte{0x80}}}}))
	_, err = r.client.States(limit(t), []string{"k"})
	require.ErrorContains(t, err, `state of key "k": stored state has no count and chain of its events`)
}

func TestPositions(t *testing.T) {
	r := newRig(t)
	r.serve(t, 3, query.Worker{})
	r.keep(t, 0, 0, "a")
	r.keep(t, 2, 0, "b")
	positions, err := r.client.Positions(limit(t))
	require.NoError(t, err)
	require.Len(t, positions, 3)
	for i, p := range positions {
		require.Equal(t, i, p.Shard)
		if i == 1 {
			require.Zero(t, p.Fence)
			require.Zero(t, p.Seq)
			continue
		}
		require.Equal(t, uint64(5), p.Fence)
		require.Equal(t, uint64(1), p.Epoch)
		require.Equal(t, uint64(10+i), p.Seq)
		require.True(t, p.Time.Equal(time.Unix(7, 0)))
	}
}

func TestStatusOfSeveralWorkers(t *testing.T) {
	r := newRig(t)
	b := query.Worker{ID: "b", Name: "two", Shards: []query.ShardStatus{{Shard: 3}, {Shard: 1, Fence: 7, Epoch: 1, Seq: 9, Lag: 4, State: "running"}}}
	r.serve(t, 4, b)
	r.serve(t, 4, query.Worker{ID: "a", Name: "one"})
	workers, err := r.client.Status(limit(t), 300*time.Millisecond)
	require.NoError(t, err)
	require.Len(t, workers, 2)
	require.Equal(t, "a", workers[0].ID)
	require.Equal(t, []query.ShardStatus{b.Shards[1], b.Shards[0]}, workers[1].Shards)
	require.Equal(t, 1, workers[1].Shards[0].Shard)
}

func TestNoWorker(t *testing.T) {
	r := newRig(t)
	_, err := r.client.States(limit(t), []string{"a"})
	require.ErrorIs(t, err, query.ErrNoWorker)
	_, err = r.client.Positions(limit(t))
	require.ErrorIs(t, err, query.ErrNoWorker)
	_, err = r.client.Status(limit(t), wait)
	require.ErrorIs(t, err, query.ErrNoWorker)

	s := r.serve(t, 1, query.Worker{})
	_, err = r.client.Positions(limit(t))
	require.NoError(t, err)
	require.NoError(t, s.Stop(limit(t)))
	_, err = r.client.Positions(limit(t))
	require.ErrorIs(t, err, query.ErrNoWorker)
}

func TestCancelledQueries(t *testing.T) {
	r := newRig(t)
	sub, err := r.nats.Conn.SubscribeSync(topology.ControlSubject("app", "*")) // somebody who never answers
	require.NoError(t, err)
	defer func() { require.NoError(t, sub.Unsubscribe()) }()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = r.client.States(ctx, []string{"a"})
	require.ErrorIs(t, err, context.Canceled)
	_, err = r.client.Status(ctx, wait)
	require.ErrorIs(t, err, context.Canceled)
}

// The store is down: that is an answer, too.
func TestStoreThatCannotBeReached(t *testing.T) {
	n := testkit.NATS(t)
	s := query.NewServer(n.Connect(t), "app", ringOf(t, 1), brokenStore{}, func() query.Worker { return query.Worker{} }, noPause)
	require.NoError(t, s.Start(limit(t)))
	defer func() { require.NoError(t, s.Stop(context.Background())) }()
	c := query.NewClient(n.Conn, "app")
	_, err := c.States(limit(t), []string{"a"})
	require.ErrorContains(t, err, "no connection")
	_, err = c.Positions(limit(t))
	require.ErrorContains(t, err, "no connection")
}

type brokenStore struct{ store.Store }

var errBroken = errors.New("no connection")

func (brokenStore) States(context.Context, int, []string) (states, heads [][]byte, err error) {
	return nil, nil, errBroken
}

func (brokenStore) Shards(context.Context, int) ([]store.Shard, error) { return nil, errBroken }

// A hard stop does not wait for a store that hangs.
func TestHardStop(t *testing.T) {
	n := testkit.NATS(t)
	asked := make(chan struct{})
	s := query.NewServer(n.Connect(t), "app", ringOf(t, 1), hangingStore{asked: asked}, func() query.Worker { return query.Worker{} }, noPause)
	require.NoError(t, s.Start(limit(t)))
	answered := make(chan error, 1)
	go func() {
		_, err := query.NewClient(n.Conn, "app").States(limit(t), []string{"a"})
		answered <- err
	}()
	<-asked
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	began := time.Now()
	require.NoError(t, s.Stop(ended))
	require.Less(t, time.Since(began), 4*time.Second)
	require.ErrorContains(t, <-answered, "context canceled")
}

type hangingStore struct {
	store.Store
	asked chan struct{}
}

func (h hangingStore) States(ctx context.Context, _ int, _ []string) (states, heads [][]byte, err error) {
	close(h.asked)
	<-ctx.Done()
	return nil, nil, ctx.Err()
}

func TestStartStopStress(t *testing.T) {
	r := newRig(t)
	nc := r.nats.Connect(t)
	testkit.StressStartStop(t, func() lifecycle.Part {
		return query.NewServer(nc, "app", ringOf(t, 1), r.store, func() query.Worker { return query.Worker{} }, noPause)
	})
}
