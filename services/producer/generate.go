package main

import "example.com/lockstep/pkg/load"

// application is what a load knows of this application. It may have a Check of each key's state, too (see load.Check).
func application() load.Application {
	return load.Application{Generate: generate}
}

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
//
// d.Counter is the number of the event among its key's, from 1. So a key's events can follow each other as a status machine
// demands, here of an order whose state the handler deletes in the end (see load.Event.Deletes):
//
//	statuses := []string{"created", "paid", "shipped", "closed"}
//	status := statuses[(d.Counter-1)%4]
//	return load.Event{
//		Key:     "order",
//		Type:    status,
//		Deletes: status == "closed",
//	}
func generate(d *load.Draw) load.Event {
	if d.Poison { // a worker with --overdraft=refuse cannot apply it
		return load.Event{Payload: append(d.Buf, `{"amount":-1000000000000}`...), Fails: true}
	}
	return load.Event{Payload: d.Content()} // as --payload and --size say
}
