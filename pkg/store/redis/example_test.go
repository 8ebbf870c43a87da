package redis_test

import (
	"context"
	"fmt"

	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit/example"
)

// The owner of a shard claims it, loads the states of keys, and commits them with the position up to which it has read the log.
func Example() {
	servers := example.Start()
	defer servers.Stop()
	ctx := context.Background()
	s := redisstore.New(servers.Redis, "shop", "the topology's id")
	example.Check(s.Check(ctx, 4))

	record, err := s.Claim(ctx, 0, 1, store.NewVersion())
	example.Check(err)
	next := store.NewVersion()
	example.Check(s.Commit(ctx, &store.Commit{
		Shard: 0, Old: record.Version, New: next, Position: store.Position{Epoch: 1, Seq: 17},
		States: []store.Pair{{Key: "alice", Value: []byte("5")}},
	}))
	states, err := s.Load(ctx, 0, next, []string{"alice", "bob"})
	example.Check(err)
	fmt.Printf("alice: %q, bob: %q\n", states[0], states[1])
	fmt.Println(servers.Redis.HGet(ctx, "{shop:0}:record", "position").Val())
	// Output:
	// alice: "5", bob: ""
	// 1 17 0
}
