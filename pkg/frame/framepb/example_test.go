package framepb_test

import (
	"fmt"
	"log"

	"google.golang.org/protobuf/proto"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/frame/framepb"
)

// A client in another language generates such code from frame.proto, and writes the same frames.
func Example() {
	encoded, err := proto.Marshal(&framepb.Frame{
		Session: &framepb.Session{Publisher: []byte("sixteen bytes id"), Generation: 1, Birth: 1_700_000_000_000},
		Floor:   1,
		Events:  []*framepb.Event{{Key: "alice", Seq: 1, Data: []byte("5")}},
	})
	if err != nil {
		log.Fatal(err)
	}
	var f frame.Frame
	if err := f.Decode(encoded); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("seq %d of key %s: %s\n", f.Events[0].Seq, f.Events[0].Key, f.Events[0].Data)
	// Output: seq 1 of key alice: 5
}
