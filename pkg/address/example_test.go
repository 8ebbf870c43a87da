package address_test

import (
	"fmt"

	"example.com/lockstep/pkg/address"
)

// A log line shows an address without its secrets.
func ExampleMask() {
	fmt.Println(address.Mask("nats://alice:secret@10.0.0.7:4222"))
	fmt.Println(address.Mask("redis://:secret@10.0.0.8:6379/0"))
	// Output:
	// nats://alice:***@10.0.0.7:4222
	// redis://:***@10.0.0.8:6379/0
}

// A flag may name several servers.
func ExampleSplit() {
	for _, server := range address.Split("nats://a:4222,nats://b:4222") {
		fmt.Println(server)
	}
	// Output:
	// nats://a:4222
	// nats://b:4222
}
