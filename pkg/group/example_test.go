package group_test

import (
	"context"
	"fmt"

	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/testkit/example"
	"github.com/prometheus/client_golang/prometheus"
)

// Every worker computes the same assignment from the same members. When one leaves, most of the others' shards stay.
func ExampleAssign() {
	three := group.Assign(12, []string{"a", "b", "c"})
	two := group.Assign(12, []string{"a", "b"})
	of, moved := make(map[string]int), 0
	for shard, owner := range three {
		of[owner]++
		if owner != "c" && two[shard] != owner {
			moved++
		}
	}
	fmt.Println("shards each:", of["a"], of["b"], of["c"])
	fmt.Printf("c leaves: of the 8 shards of a and b, %d move\n", moved)
	// Output:
	// shards each: 4 4 4
	// c leaves: of the 8 shards of a and b, 2 move
}

// A member owns its shards until it stops.
func Example() {
	servers := example.Start()
	defer servers.Stop()
	ctx := context.Background()
	locker, err := lease.New(lease.Config{App: "shop"}, servers.Redis)
	example.Check(err)
	owned := make(chan int, 2)
	member, err := group.New(servers.NATS, group.Config{
		App: "shop", Name: "worker-1", Shards: 2, Replicas: 1, Locker: group.Leases(locker), Log: example.Discard, Metrics: prometheus.NewRegistry(),
		Own: func(ctx context.Context, o group.Ownership) {
			owned <- o.Shard
			select {
			case <-o.Stop: // to be handed over: finish the current work
			case <-ctx.Done(): // lost
			}
		},
	})
	example.Check(err)
	example.Check(member.Start(ctx))
	fmt.Println("shards:", <-owned+<-owned+1)
	example.Check(member.Stop(ctx))
	// Output: shards: 2
}
