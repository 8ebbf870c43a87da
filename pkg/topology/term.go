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
	if _, valid := t.Valid(now); !valid {
		t.n++
	} else if sent.Mono+t.ttl <= t.until.Mono {
		return // an older one
	}
	// Both clocks of the newest renewal: had the wall clock been set back, the end that an older one gave would lie far
	// ahead, and a suspended process would not see that its lease has run out.
	t.until = Instant{Mono: sent.Mono + t.ttl, Wall: sent.Wall.Add(t.ttl)}
}

// Valid returns the number of the term, from 1, and whether its lease holds now. A term that was once seen to have ended
// does not come back, whatever the wall clock does.
func (t *Term) Valid(now Instant) (uint64, bool) {
	if now.Mono >= t.until.Mono || !now.Wall.Before(t.until.Wall) {
		t.until = Instant{}
	}
	return t.n, t.until != Instant{}
}
