package main

import "example.com/lockstep/pkg/load"

// generate returns what an event of this application looks like under load. It is the one function to change. Deposits to
// accounts, for example:
//
//	return load.Event{
//		Key:     "account",
//		Type:    "deposited",
//		Payload: fmt.Appendf(d.Buf, `{"amount":%d}`, 1+d.Rand.IntN(100)),
//	}
//
// It must decide from d alone, so that the same d always gives the same event (see load.Generate). The load puts the run's
// id before the key and the key's own counter before the payload, as in `3 {"amount":5}`. So the load can tell every event
// from all others, and the worker's handler must accept that.
func generate(d *load.Draw) load.Event {
	return load.Event{Payload: d.Content()} // as --payload and --size say
}
