package permit_test

import (
	"fmt"
	"time"

	"example.com/lockstep/pkg/route/permit"
)

// A renewal counts from before it was sent. After a gap a new term begins, and a batch of the old term is not acknowledged.
func ExampleTerm() {
	began := time.Unix(1_700_000_000, 0)
	at := func(after time.Duration) permit.Instant { return permit.Instant{Mono: after, Wall: began.Add(after)} }
	term := permit.NewTerm(permit.TTL)
	show := func(after time.Duration) {
		n, valid := term.Valid(at(after))
		fmt.Printf("after %s: term %d, valid: %v\n", after, n, valid)
	}
	term.Renew(at(0), at(10*time.Millisecond))
	show(time.Second)
	show(3 * time.Second)
	term.Renew(at(3*time.Second), at(3100*time.Millisecond))
	show(4 * time.Second)
	// Output:
	// after 1s: term 1, valid: true
	// after 3s: term 1, valid: false
	// after 4s: term 2, valid: true
}
