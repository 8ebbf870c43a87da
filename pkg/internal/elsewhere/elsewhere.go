// Package elsewhere tells when a client of a NATS cluster should try another of its servers. One that is cut off from its
// peers keeps its clients, answers their pings, and is of no use to them.
//
//   - It goes round, for a server that was of no use during an election may be the right one after it; each time more slowly.
//   - It is for clients that have nothing to lose by it, as they get nothing done.
package elsewhere

import "time"

// Outage is the time for which nothing gets done. The zero value is none. It is not safe for concurrent use.
type Outage struct {
	since time.Time // of the outage, or of the last move in it
	noted time.Time
	moves int
}

// forgets is how long an outage is remembered of which nothing is noted any more.
const forgets = 15 * time.Second

// maxDoublings bounds the patience: 8 times what it was.
const maxDoublings = 3

// Goes notes that the outage goes on. It returns true each time that it has lasted for longer than patience, which doubles
// with each round of the servers that are known; never if there is only one.
func (o *Outage) Goes(now time.Time, patience time.Duration, servers int) (move bool) {
	if now.Sub(o.noted) > forgets {
		*o = Outage{since: now}
	}
	o.noted = now
	if servers < 2 || now.Sub(o.since) < patience<<min(o.moves/servers, maxDoublings) {
		return false
	}
	o.since = now
	o.moves++
	return true
}

// End notes that something got done.
func (o *Outage) End() { *o = Outage{} }
