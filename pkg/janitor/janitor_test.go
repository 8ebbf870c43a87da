package janitor

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	testkit.Main()
	goleak.VerifyTestMain(m)
}

// bench is a topology of one lane and three shards, a store, and a janitor that the test drives.
type bench struct {
	t      *testing.T
	js     jetstream.JetStream
	top    topology.Topology
	kv     jetstream.KeyValue
	rdb    *redis.Client
	store  store.Store
	j      *Janitor
	locker *lease.Locker
}

func newBench(t *testing.T, history topology.Log) *bench {
	history.Replicas = 1
	return newBenchIn(t, history, testkit.NATS(t))
}

func newBenchIn(t *testing.T, history topology.Log, n *testkit.NATSServer) *bench {
	ctx := context.Background()
	n.NoDirectGets(t)
	js, err := jetstream.New(n.Conn)
	require.NoError(t, err)
	history.MaxBytes = 1 << 24
	log := slog.New(slog.DiscardHandler)
	top, kv, err := topology.Open(ctx, js, "app", topology.Initial{Shards: 3, Lanes: 1, Log: history}, log)
	require.NoError(t, err)
	rdb := redis.NewClient(&redis.Options{Addr: testkit.Redis(t)})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	b := &bench{t: t, js: js, top: top, kv: kv, rdb: rdb, store: redisstore.New(rdb, "app", top.ID)}
	b.locker, err = lease.New(lease.Config{App: "app"}, rdb)
	require.NoError(t, err)
	b.j, err = New(js, Config{App: "app", Topology: top, KV: kv, Store: b.store, Log: log, Every: time.Millisecond,
		Lease: func(ctx context.Context) (*lease.Lease, error) { return b.locker.TryNamed(ctx, "janitor") }})
	require.NoError(t, err)
	return b
}

// publish stores n messages for a shard and returns the last one's sequence.
func (b *bench) publish(shard, n int) uint64 {
	var seq uint64
	for range n {
		ack, err := b.js.Publish(context.Background(), topology.WorkSubject("app", 1, 0, shard), make([]byte, 1000))
		require.NoError(b.t, err)
		seq = ack.Sequence
	}
	return seq
}

func (b *bench) commit(shard int, seq uint64) {
	ctx := context.Background()
	v := store.NewVersion()
	_, err := b.store.Claim(ctx, shard, 1, v)
	require.NoError(b.t, err)
	require.NoError(b.t, b.store.Commit(ctx, &store.Commit{Shard: shard, Old: v, New: store.NewVersion(), Position: store.Position{Epoch: 1, Seq: seq, Time: time.Now()}}))
}

func (b *bench) first() uint64 {
	s, err := b.js.Stream(context.Background(), "APP_1_0")
	require.NoError(b.t, err)
	return s.CachedInfo().State.FirstSeq
}

func (b *bench) reaches(shard int, seq uint64) bool {
	p, err := topology.LoadPurged(context.Background(), b.js, b.kv, 1, 0)
	require.NoError(b.t, err)
	reaches, ok := p.Reaches(shard, seq, b.first())
	require.True(b.t, ok)
	return reaches
}

func TestOnlyMessagesCommittedByEveryShardArePurged(t *testing.T) {
	ctx := context.Background()
	b := newBench(t, topology.Log{HistoryBytes: 1})
	idle := b.publish(2, 1)
	a := b.publish(0, 10)
	c := b.publish(1, 10)
	require.NoError(t, b.j.clean(ctx))
	require.Equal(t, uint64(1), b.first(), "nothing is committed")
	b.commit(2, idle)
	b.commit(0, a)
	b.commit(1, c-4)
	require.NoError(t, b.j.clean(ctx))
	require.Equal(t, c-4+1, b.first(), "shard 1 has yet to commit the rest; the idle shard is no hindrance")
	require.True(t, b.reaches(0, a))
	require.True(t, b.reaches(1, c-4))
	require.True(t, b.reaches(2, idle))
	require.False(t, b.reaches(1, c-5), "a store that stands behind")
	require.False(t, b.reaches(0, 0), "a store that was wiped")
	b.commit(1, c)
	b.commit(0, b.publish(0, 1))
	require.NoError(t, b.j.clean(ctx))
	require.Equal(t, c+1, b.first())
}

func TestHistoryIsKept(t *testing.T) {
	ctx := context.Background()
	b := newBench(t, topology.Log{HistoryBytes: 20_000, HistoryAge: time.Hour})
	last := b.publish(0, 10)
	b.commit(0, last)
	require.NoError(t, b.j.clean(ctx))
	require.Equal(t, uint64(1), b.first(), "young and small")
	last = b.publish(0, 50)
	b.commit(0, last)
	require.NoError(t, b.j.clean(ctx))
	kept := last - b.first() + 1
	require.Greater(t, kept, uint64(15))
	require.Less(t, kept, uint64(25))
}

func TestHistoryByAge(t *testing.T) {
	ctx := context.Background()
	b := newBench(t, topology.Log{HistoryAge: 50 * time.Millisecond})
	old := b.publish(0, 37)
	stored := time.Now()
	for time.Since(stored) < 60*time.Millisecond { // the log's own time has to go on
		b.publish(1, 1)
	}
	last := b.publish(0, 1)
	b.commit(0, last)
	b.commit(1, last-1)
	require.NoError(t, b.j.clean(ctx))
	require.Greater(t, b.first(), old)
	require.Less(t, b.first(), last)
}

// The janitor looks and is paused; the store is wiped meanwhile; then it purges messages that the store no longer has. What it relied on
// is on record, so that the worker that replays finds out.
func TestPausedJanitorLeavesARecord(t *testing.T) {
	ctx := context.Background()
	b := newBench(t, topology.Log{HistoryBytes: 1})
	last := b.publish(0, 10)
	b.commit(0, last)
	b.commit(1, b.publish(1, 1)) // something to be kept
	b.j.beforePurge = func() { require.NoError(t, b.rdb.FlushAll(ctx).Err()) }
	require.NoError(t, b.j.clean(ctx))
	require.Equal(t, last+1, b.first())
	require.False(t, b.reaches(0, 0))
	require.False(t, b.reaches(0, 4))
	require.True(t, b.reaches(0, last))
	require.True(t, b.reaches(2, 0), "had nothing there")
	b.j.beforePurge = func() {}
	b.commit(0, last)
	b.commit(1, b.publish(1, 1))
	require.NoError(t, b.j.clean(ctx))
	require.False(t, b.reaches(0, 4), "what was relied on stays on record")
}

func TestPurgeThatIsNotOnRecord(t *testing.T) {
	p := topology.Purged{First: 5, Shards: map[int]uint64{0: 4}}
	_, ok := p.Reaches(0, 2, 9)
	require.False(t, ok, "somebody else has purged, or the record is an old one")
	reaches, ok := p.Reaches(0, 8, 9)
	require.True(t, ok && reaches, "nothing behind 8 is gone")
}

// For any committed positions, no message that a shard has yet to commit is purged.
func TestCommittedNeverPassesAShard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := look{first: 1, last: rapid.Uint64Range(1, 100).Draw(t, "last")}
		for i := range rapid.IntRange(1, 4).Draw(t, "shards") {
			end := rapid.Uint64Range(0, 120).Draw(t, "end") // it may have grown since last was read
			at := rapid.Uint64Range(0, 120).Draw(t, "at")
			l.shards = append(l.shards, shardLook{shard: i, end: end, committed: store.Position{Epoch: rapid.Uint64Range(0, 1).Draw(t, "epoch"), Seq: at}})
		}
		safe := l.committed(1)
		require.LessOrEqual(t, safe, l.last)
		for _, s := range l.shards {
			at := s.committed.Seq
			if s.committed.Epoch == 0 {
				at = 0
			}
			if s.end > at {
				require.LessOrEqual(t, safe, at)
			}
		}
	})
}

func TestOneJanitorAtATime(t *testing.T) {
	ctx := context.Background()
	b := newBench(t, topology.Log{HistoryBytes: 1})
	other, err := b.locker.TryNamed(ctx, "janitor")
	require.NoError(t, err)
	b.commit(0, b.publish(0, 5))
	require.NoError(t, b.j.Start(ctx))
	require.Error(t, b.j.Start(ctx))
	require.NoError(t, b.j.Stop(ctx))
	require.Equal(t, uint64(1), b.first(), "another works")
	require.NoError(t, other.Release(ctx))

	b.j, err = New(b.js, b.j.cfg)
	require.NoError(t, err)
	require.NoError(t, b.j.Start(ctx))
	require.Eventually(t, func() bool { return b.first() > 1 }, 5*time.Second, time.Millisecond)
	require.NoError(t, b.j.Stop(ctx))
	require.NoError(t, b.j.Stop(ctx))
	again, err := b.locker.TryNamed(ctx, "janitor")
	require.NoError(t, err, "released at the stop")
	require.NoError(t, again.Release(ctx))
}

func TestStartStopStress(t *testing.T) {
	b := newBench(t, topology.Log{HistoryBytes: 1})
	b.commit(0, b.publish(0, 10))
	testkit.StressStartStop(t, func() lifecycle.Part {
		j, err := New(b.js, b.j.cfg)
		require.NoError(t, err)
		return j
	})
}

// hangingStore does not answer until it is told to give up.
type hangingStore struct {
	store.Store
	asked chan struct{}
}

func (h hangingStore) Intact(ctx context.Context, _ int) (store.Shard, error) {
	h.asked <- struct{}{}
	<-ctx.Done()
	return store.Shard{}, ctx.Err()
}

func TestStopWhileTheStoreHangs(t *testing.T) {
	b := newBench(t, topology.Log{HistoryBytes: 1})
	b.publish(0, 10)
	asked := make(chan struct{}, 1)
	b.j.cfg.Store = hangingStore{b.store, asked}
	require.NoError(t, b.j.Start(context.Background()))
	<-asked
	require.NoError(t, b.j.Stop(context.Background()))
}

func TestStopBeforeStart(t *testing.T) {
	b := newBench(t, topology.Log{})
	require.NoError(t, b.j.Stop(context.Background()))
	require.Error(t, b.j.Start(context.Background()))
}

// Each worker and each router that ever ran leaves the mark of its deleted entry, and a router that was killed its entry.
func TestMarksOfPastProcessesAreRemoved(t *testing.T) {
	ctx := context.Background()
	b := newBench(t, topology.Log{})
	members, err := topology.OpenBucket(ctx, b.js, "app", "members", 1)
	require.NoError(t, err)
	for i := range 200 {
		for _, kv := range []jetstream.KeyValue{members, b.kv} {
			key := fmt.Sprintf("router.%d", i)
			_, err := kv.Put(ctx, key, []byte("{}"))
			require.NoError(t, err)
			require.NoError(t, kv.Purge(ctx, key))
		}
	}
	for kv, key := range map[jetstream.KeyValue]string{members: "live", b.kv: "router.killed"} {
		_, err = kv.Put(ctx, key, []byte("{}"))
		require.NoError(t, err)
	}
	require.NoError(t, members.Delete(ctx, "left"))
	left := func() (all []uint64) {
		for _, bucket := range []string{"KV_app_topology", "KV_app_members"} {
			s, err := b.js.Stream(ctx, bucket)
			require.NoError(t, err)
			all = append(all, s.CachedInfo().State.Msgs)
		}
		return all
	}
	require.Equal(t, []uint64{202, 202}, left())
	require.NoError(t, b.j.clean(ctx))
	require.Equal(t, []uint64{202, 202}, left(), "young marks stay, until every watch has seen them")
	b.j.marksKept = 0
	require.NoError(t, b.j.clean(ctx))
	require.Equal(t, []uint64{1, 1}, left(), "the topology, and the member that is there")
	_, err = topology.Load(ctx, b.js, "app")
	require.NoError(t, err)
	_, err = b.kv.Put(ctx, "router.live", []byte("{}"))
	require.NoError(t, err)
	b.j.marksKept, b.j.swept = time.Hour, time.Time{}
	require.NoError(t, b.j.clean(ctx))
	require.Equal(t, []uint64{2, 1}, left(), "an entry that is renewed stays")
}
