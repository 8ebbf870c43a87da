package aside_test

import (
	"errors"
	"fmt"
	"log"

	"example.com/lockstep/pkg/aside"
)

// The head of a parked key's list, as it is stored beside the events.
func Example() {
	head := aside.Head{First: 3, Next: 5, Bytes: 70, Status: aside.Parked, Attempts: 5, Error: aside.ErrorText(errors.New("event has no amount"))}
	stored := head.Append(nil)

	read, err := aside.DecodeHead(stored)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d events wait, %s after %d attempts: %s\n", read.Len(), read.Status, read.Attempts, read.Error)
	// Output: 2 events wait, parked after 5 attempts: event has no amount
}
