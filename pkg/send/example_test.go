package send_test

import (
	"context"
	"fmt"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/send"
	"example.com/lockstep/pkg/testkit/example"
)

// An event with an id may be sent again for two minutes: it is stored once.
func ExampleSend() {
	servers := example.Start()
	defer servers.Stop()
	servers.Run("shop", consume.Typed(func(context.Context, *struct{}, consume.Event) error { return nil }))

	event := send.Event{Key: "alice", ID: "order-17", Data: []byte(`{"amount":5}`)}
	for range 2 {
		stored, err := send.Send(context.Background(), servers.NATS, "shop", event)
		example.Check(err)
		fmt.Println(stored)
	}
	// Output:
	// stored in stream SHOP_1_0 at sequence 1
	// stored already, in stream SHOP_1_0 at sequence 1
}
