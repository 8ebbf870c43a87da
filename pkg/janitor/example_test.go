package janitor_test

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/lockstep/pkg/janitor"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit/example"
	"example.com/lockstep/pkg/topology"
)

// Messages that every shard has committed, and that are older than the history, go. Here nothing is to be kept.
func Example() {
	servers := example.Start()
	defer servers.Stop()
	ctx := context.Background()
	js, err := jetstream.New(servers.NATS)
	example.Check(err)
	initial := topology.Initial{Shards: 1, Log: topology.Log{Replicas: 1, MaxBytes: 1 << 20, HistoryAge: time.Nanosecond}}
	t, kv, err := topology.Open(ctx, js, "shop", initial, example.Discard)
	example.Check(err)
	for range 3 {
		_, err = js.Publish(ctx, topology.WorkSubject("shop", 1, 0, 0), []byte("a batch"))
		example.Check(err)
	}
	s := redisstore.New(servers.Redis, "shop", t.ID)
	commitUpTo(ctx, js, s, 2)

	locker, err := lease.New(lease.Config{App: "shop"}, servers.Redis)
	example.Check(err)
	j, err := janitor.New(js, janitor.Config{
		App: "shop", Topology: t, KV: kv, Store: s, Every: 10 * time.Millisecond, Log: example.Discard,
		Lease: func(ctx context.Context) (*lease.Lease, error) { return locker.TryNamed(ctx, "janitor") },
	})
	example.Check(err)
	example.Check(j.Start(ctx))
	stream, err := js.Stream(ctx, topology.StreamName("shop", 1, 0))
	example.Check(err)
	for stream.CachedInfo().State.FirstSeq < 2 {
		_, err = stream.Info(ctx)
		example.Check(err)
	}
	example.Check(j.Stop(ctx))
	purged, err := topology.LoadPurged(ctx, js, kv, 1, 0)
	example.Check(err)
	fmt.Println("purged up to the position:", purged.Shards[0] == 2)
	// Output: purged up to the position: true
}

// commitUpTo commits a position of shard 0.
func commitUpTo(ctx context.Context, js jetstream.JetStream, s *redisstore.Store, seq uint64) {
	record, err := s.Claim(ctx, 0, 1, store.NewVersion())
	example.Check(err)
	m, err := topology.MessageAt(ctx, js, topology.StreamName("shop", 1, 0), seq)
	example.Check(err)
	example.Check(s.Commit(ctx, &store.Commit{
		Shard: 0, Old: record.Version, New: store.NewVersion(), Position: store.Position{Epoch: 1, Seq: seq, Time: m.Time},
	}))
}
