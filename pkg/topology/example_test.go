package topology_test

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/lockstep/pkg/testkit/example"
	"example.com/lockstep/pkg/topology"
)

// Routers open the topology, and the first one makes it. Workers and tools load it.
func Example() {
	servers := example.Start()
	defer servers.Stop()
	ctx := context.Background()
	js, err := jetstream.New(servers.NATS)
	example.Check(err)
	made, _, err := topology.Open(ctx, js, "shop", example.Initial(), example.Discard)
	example.Check(err)

	loaded, err := topology.Load(ctx, js, "shop")
	example.Check(err)
	epoch := loaded.Current()
	fmt.Println("the same:", loaded.ID == made.ID)
	fmt.Printf("epoch %d: %d shards on %d lane\n", epoch.Epoch, epoch.Shards, epoch.Lanes)
	fmt.Println("shard 3 is", topology.WorkSubject("shop", epoch.Epoch, epoch.Lane(3), 3), "of", topology.StreamName("shop", epoch.Epoch, epoch.Lane(3)))
	// Output:
	// the same: true
	// epoch 1: 4 shards on 1 lane
	// shard 3 is shop.work.1.0.3 of SHOP_1_0
}
