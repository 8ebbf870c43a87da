package asidepb_test

import (
	"fmt"
	"log"

	"google.golang.org/protobuf/proto"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/aside/asidepb"
)

// A tool in another language generates such code from aside.proto, and reads the store's lists.
func Example() {
	event := aside.Event{ID: "order-17", Type: "deposit", Data: []byte("5"), Seq: 12}
	var read asidepb.Event
	if err := proto.Unmarshal(event.Append(nil), &read); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %s %s\n", read.Id, read.Type, read.Data)
	// Output: order-17: deposit 5
}
