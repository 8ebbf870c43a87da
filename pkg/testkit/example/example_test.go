package example_test

import (
	"context"
	"fmt"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/send"
	"example.com/lockstep/pkg/testkit/example"
)

// An example starts what it needs, and stops it at its end.
func Example() {
	servers := example.Start()
	defer servers.Stop()
	applied := make(chan string, 1)
	servers.Run("shop", consume.Typed(func(_ context.Context, _ *struct{}, ev consume.Event) error {
		applied <- ev.Key
		return nil
	}))

	_, err := send.Send(context.Background(), servers.NATS, "shop", send.Event{Key: "alice", Data: []byte("5")})
	example.Check(err)
	fmt.Println("applied:", <-applied)
	_, err = query.NewClient(servers.NATS, "shop").Positions(context.Background())
	fmt.Println("positions:", err)
	// Output:
	// applied: alice
	// positions: <nil>
}
