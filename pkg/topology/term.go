package topology

import "time"

// Instant is one moment on two clocks. A process that was suspended sees the wall clock jump where the monotonic one may
// stand still, a process whose wall clock is set back the other way round: a lease ends by whichever is first.
type Instant struct {
	Mono time.Duration
	Wall time.Time
}

// Term judges a router's lease. It has no clock and no connection.
//
// A lease counts from before its renewal was sent until ttl later. Every gap between two leases begins a new term: what
// was published in one term must not be acknowledged in another, for an epoch may have ended in between.
type Term struct {
	ttl   time.Duration
	until Instant
	n     uint64
}

// NewTerm returns a term without a lease.
func NewTerm(ttl time.Duration) Term { return Term{ttl: ttl} }

// Renew takes a renewal that was sent at sent and has been delivered at now.
func (t *Term) Renew(sent, now Instant) {
	until := Instant{Mono: sent.Mono + t.ttl, Wall: sent.Wall.Add(t.ttl)}
	if _, valid := t.Valid(now); !valid {
		t.n++
		t.until = until
		return
	}
	t.until.Mono = max(t.until.Mono, until.Mono)
	if until.Wall.After(t.until.Wall) {
		t.until.Wall = until.Wall
	}
}

// Valid returns the number of the term, from 1, and whether its lease holds now.
func (t *Term) Valid(now Instant) (uint64, bool) {
	return t.n, t.n > 0 && now.Mono < t.until.Mono && now.Wall.Before(t.until.Wall)
}
