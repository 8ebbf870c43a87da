// Package elsewhere tells when a client of a NATS cluster should try another of its servers. One that is cut off from its
// peers keeps its clients, answers their pings, and is of no use to them.
//
//   - In an outage each other server is tried once: when the whole cluster is out, it does not help to go round.
//   - It is for clients that have nothing to lose by it, as they get nothing done.
package elsewhere

import "time"

// Outage is the time for which nothing gets done. The zero value is none. It is not safe for concurrent use.
type Outage struct {
	since time.Time // of the outage, or of the last move in it
	moves int
}

// Goes notes that the outage goes on. It returns true, each time that it has lasted for longer than patience, up to
// as many times as there are other servers of all those known.
func (o *Outage) Goes(now time.Time, patience time.Duration, servers int) (move bool) {
	if o.since.IsZero() {
		o.since = now
	}
	if now.Sub(o.since) < patience || o.moves >= servers-1 {
		return false
	}
	o.since = now
	o.moves++
	return true
}

// End notes that something got done.
func (o *Outage) End() { *o = Outage{} }
