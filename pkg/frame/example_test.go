package frame_test

import (
	"fmt"
	"log"

	"example.com/lockstep/pkg/frame"
)

// A publisher encodes an event once. When it leaves, its frame adds the seq, and a router copies the event's bytes as they are.
func Example() {
	draft, err := frame.NewDraft("alice", []byte(`{"amount":5}`), "deposit", nil, false)
	if err != nil {
		log.Fatal(err)
	}
	session := frame.Session{Publisher: frame.PublisherID{1}, Generation: 1, Birth: 1_700_000_000_000}
	sent := frame.AppendEvent(frame.AppendHeader(nil, session, 1), draft, 1)

	var received frame.Frame
	if err := received.Decode(sent); err != nil {
		log.Fatal(err)
	}
	for _, e := range received.Events {
		fmt.Printf("seq %d of key %s: %s %s\n", e.Seq, e.Key, e.Type, e.Data)
	}
	// Output: seq 1 of key alice: deposit {"amount":5}
}

// The body of a message on <app>.in.command, which names the events that an operator has seen.
func ExampleDecodeCommand() {
	c, err := frame.DecodeCommand([]byte(`{"op":"retry","key":"alice","first":"id-1","last":"id-3","count":3}`))
	fmt.Println(c.Op, c.Key, c.Count, err)
	_, err = frame.DecodeCommand([]byte(`{"op":"retry","key":"alice","first":"id-1","last":"id-3"}`))
	fmt.Println(err != nil)
	// Output:
	// retry alice 3 <nil>
	// true
}
