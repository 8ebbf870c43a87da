package query_test

import (
	"context"
	"errors"
	"fmt"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/send"
	"example.com/lockstep/pkg/testkit/example"
)

type note struct{ Text string }

// apply keeps the newest text of a key. It parks a key whose text is empty, and applied is told of each attempt.
func apply(applied chan<- string) consume.Handler {
	return consume.Typed(func(_ context.Context, n *note, ev consume.Event) error {
		defer func() { applied <- ev.Key }()
		if len(ev.Data) == 0 {
			return consume.Park(errors.New("it has no text"))
		}
		n.Text = string(ev.Data)
		return nil
	})
}

// A client asks workers for the states of keys, as they are stored, and for the lists of those that are parked.
func Example() {
	servers := example.Start()
	defer servers.Stop()
	ctx := context.Background()
	attempts := make(chan string, 2)
	servers.Run("shop", apply(attempts))
	for key, text := range map[string]string{"alice": "hello", "bob": ""} {
		_, err := send.Send(ctx, servers.NATS, "shop", send.Event{Key: key, Data: []byte(text)})
		example.Check(err)
		<-attempts
	}

	client := query.NewClient(servers.NATS, "shop")
	states := committed(ctx, client, "alice", "bob")
	fmt.Printf("%s: %d event, %s\n", states[0].Key, states[0].Count, states[0].Data)
	fmt.Printf("%s: %d set aside, parked: %v\n", states[1].Key, states[1].SetAside, states[1].Parked)
	list, _, err := client.Waiting(ctx, "bob", 0)
	example.Check(err)
	fmt.Println(list.Error)
	// Output:
	// alice: 1 event, {"Text":"hello"}
	// bob: 1 set aside, parked: true
	// parked by the handler: it has no text
}

// committed returns the states of keys once each has one, or a list. A handler has seen an event before it is committed.
func committed(ctx context.Context, client *query.Client, keys ...string) []query.State {
	for {
		states, err := client.States(ctx, keys)
		example.Check(err)
		all := true
		for _, s := range states {
			all = all && (s.Found || s.Parked)
		}
		if all {
			return states
		}
	}
}
