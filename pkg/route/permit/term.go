package permit

import "time"

// Instant is one moment on two clocks. When a process is suspended its wall clock jumps where the monotonic one may stand
// still; when its wall clock is set back it is the other way round. A permit expires by whichever comes first.
type Instant struct {
	Mono time.Duration
	Wall time.Time
}

// Term tells when a permit is valid. It has no clock and no connection.
//
// A renewal counts from before it was sent until ttl later. Every gap in a permit's validity begins a new term: a batch that
// was published in one term must not be acknowledged in another, for an epoch may have ended in between.
type Term struct {
	ttl   time.Duration
	until Instant
	n     uint64
}

// NewTerm returns the term of a permit that is not valid yet. ttl is how long a renewal counts.
func NewTerm(ttl time.Duration) Term { return Term{ttl: ttl} }

// Renew takes a renewal that was sent at sent and has been delivered at now.
func (t *Term) Renew(sent, now Instant) {
	if _, valid := t.Valid(now); !valid {
		t.n++
	} else if sent.Mono+t.ttl <= t.until.Mono {
		return // an older one
	}
	// Both clocks of the newest renewal: had the wall clock been set back, the end that an older one gave would lie far
	// ahead, and a suspended process would not see that its permit has expired.
	t.until = Instant{Mono: sent.Mono + t.ttl, Wall: sent.Wall.Add(t.ttl)}
}

// Valid returns the number of the term, from 1, and whether the permit is valid now. A term that was once seen to have ended
// does not come back, even if the wall clock is set back.
func (t *Term) Valid(now Instant) (uint64, bool) {
	if now.Mono >= t.until.Mono || !now.Wall.Before(t.until.Wall) {
		t.until = Instant{}
	}
	return t.n, t.until != Instant{}
}
