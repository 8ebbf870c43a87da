// Package failover tells when a client of a NATS cluster should try another of its servers. A server that is cut off from its
// peers keeps its clients and answers their pings, but stores nothing for them.
//
//   - The client tries the servers in turn, more slowly each time round: a server without a leader during an election may be
//     the right one after it.
//   - It is for clients that get nothing done meanwhile, so a reconnect costs them nothing.
package failover

import "time"

// Outage is a time in which nothing succeeds. The zero value is none. It is not safe for concurrent use.
type Outage struct {
	began time.Time // the outage, or the wait for the server tried last
	noted time.Time
	moves int
}

// forgetAfter is how long an outage is remembered after it was noted last.
const forgetAfter = 15 * time.Second

// maxDoublings bounds the patience: 8 times the initial one.
const maxDoublings = 3

// Continues notes that the outage goes on, and returns true each time that it has lasted for longer than patience, which
// doubles with each round of the known servers. It never returns true if there is only one server.
func (o *Outage) Continues(now time.Time, patience time.Duration, servers int) (move bool) {
	if now.Sub(o.noted) > forgetAfter {
		*o = Outage{began: now}
	}
	o.noted = now
	if servers < 2 || now.Sub(o.began) < patience<<min(o.moves/servers, maxDoublings) {
		return false
	}
	o.began = now
	o.moves++
	return true
}

// End notes that something succeeded.
func (o *Outage) End() { *o = Outage{} }
