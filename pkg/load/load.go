// Package load is how an application tells a load what its events look like. Package cli holds the commands that send such
// events and verify that each was applied once and in order.
package load

import "math/rand/v2"

// Generate returns the event that a Draw asks for.
//
// It decides from the Draw alone: the same Draw gives the same event, asked for again or in another order. It
// keeps no state, reads no clock and draws from no other source of random numbers, as the verification makes some events
// again. One goroutine calls it at a time. For speed it should allocate little: it is called for every event sent.
//
// A load adds two things of its own, so that any two events differ: a key begins with the run's id, and a payload with its
// key's own counter.
type Generate func(*Draw) Event

// Draw is one event to be made, and all that may decide what it looks like.
type Draw struct {
	Key     int    // number of the key, from 0
	Counter uint64 // number of the event among its key's, from 1

	// Rand is seeded by --seed, Key and Counter.
	Rand *rand.Rand

	// Content writes into Buf what --payload and --size ask for, and returns it. With the counter it has that size.
	Content func() []byte

	// Buf is empty and has room for a payload: append to it to spare an allocation.
	Buf []byte
}

// Event is what an application decides of an event. Together with its key it has at most 512 KiB when it is encoded.
type Event struct {
	// Key is the name of the event's key, the same for all events of one key. A load of run r7xkq sends the events of key
	// number 17 under load-r7xkq-17, and if their Key is account, under load-r7xkq-account-17. A trace names its keys itself.
	Key string

	Type    string            // optional
	Headers map[string]string // optional

	// Payload follows the key's own counter: the worker gets `3 {"amount":5}` if this is `{"amount":5}` and it is the key's
	// third event. It may be empty. It is used until the next event is made.
	Payload []byte
}
