package dedup_test

import (
	"fmt"
	"time"

	"example.com/lockstep/pkg/dedup"
	"example.com/lockstep/pkg/frame"
)

// A frame that is sent again, because its acknowledgement was lost, changes nothing.
func Example() {
	var record dedup.Record
	at := time.Unix(1_700_000_000, 0)
	session := frame.Session{Publisher: frame.PublisherID{1}, Generation: 1, Birth: at.UnixMilli()}
	for _, seqs := range [][]uint64{{1, 2}, {1, 2}, {3}} {
		publisher, verdict := record.Part(session, 1, at)
		for _, seq := range seqs {
			fmt.Printf("seq %d: to be applied: %v\n", seq, verdict == dedup.Open && publisher.Admit(seq))
		}
	}
	// Output:
	// seq 1: to be applied: true
	// seq 2: to be applied: true
	// seq 1: to be applied: false
	// seq 2: to be applied: false
	// seq 3: to be applied: true
}
