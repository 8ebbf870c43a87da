// Package pace says when each event of a load is due. It is pure: it knows no
// clock, so what it answers can be checked without waiting.
//
// A Schedule is the rate as people write it, a Pacer is that rate in a load of
// some duration. The model are vegeta's pacers (github.com/tsenart/vegeta,
// lib/pacer.go). We don't use them, since they answer how long to sleep, from the
// hits so far and the time elapsed. We need the time that an event was intended
// for: latency counts from there, however late the sender is.
package pace

// MaxRate is the highest rate that can be asked for, in events per second.
const MaxRate = 100_000_000
