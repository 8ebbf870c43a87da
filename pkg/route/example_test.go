package route_test

import (
	"context"
	"fmt"
	"time"

	"example.com/lockstep/pkg/route"
	"example.com/lockstep/pkg/testkit/example"
	"example.com/lockstep/pkg/topology"
)

// The first router of an app makes its topology and streams. Then it answers each event with where the log has it.
func Example() {
	servers := example.Start()
	defer servers.Stop()
	ctx := context.Background()
	router, err := route.New(servers.NATS, route.Config{App: "shop", Initial: example.Initial(), Log: example.Discard})
	example.Check(err)
	example.Check(router.Start(ctx))

	answer, err := servers.NATS.Request(topology.EventSubject("shop")+".alice", []byte(`{"amount":5}`), 10*time.Second)
	example.Check(err)
	fmt.Printf("%s\n", answer.Data)
	example.Check(router.Stop(ctx))
	// Output: {"stream":"SHOP_1_0","seq":1}
}
