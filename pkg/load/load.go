// Package load is how an application tells a load what its events look like. Package cli holds the commands that send such
// events and verify that each was applied once and in order. The application's handler may keep any state.
package load

import "math/rand/v2"

// Application is what a load needs to know of an application.
type Application struct {
	Generate Generate
	Check    Check // optional
}

// Check is the application's own check of a key's state, after a load and beside the verdict on the key's events. state is
// as the handler's codec has encoded it. Check is called once for each key of the load that has a state, of which no
// events are set aside, and whose shard has reached the log's end. An error says what is wrong: the report lists the key, and the
// verdict is fail. One goroutine of each producer calls it.
type Check func(key string, state []byte) error

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
	Key int // number of the key, from 0

	// Counter is the number of the event among its key's, from 1 and without gaps. So the nth event of a key can be what
	// the state demands by then, as in `created`, `paid`, `shipped`. An event that the publisher has to give up may never
	// be applied: then the handler sees a sequence with a gap.
	Counter uint64

	// Poison asks for an event that the handler cannot apply, and says so in Event.Fails. Without --poison it is never set. With
	// it, it is set for the second event of that share of the keys: they get one event that is applied, and one that is not.
	Poison bool

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

	// Deletes says that with this event the application's handler deletes the key's state (it returns consume.Delete). The
	// load expects no state then, and that the key's next event begins a new one. A state that is deleted and not said to
	// be cannot be told from one whose events were all lost: the key is reported as unproven.
	Deletes bool

	// Fails says that the application's handler may fail with this event for as long as nobody mends it. A load passes with
	// such an event in the list of a parked key. A key that is parked with any other event leaves a load unfinished.
	Fails bool

	// Payload follows the key's own counter: the worker gets `3 {"amount":5}` if this is `{"amount":5}` and it is the key's
	// third event. It may be empty. It is used until the next event is made.
	Payload []byte
}
