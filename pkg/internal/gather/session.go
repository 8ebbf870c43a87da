package gather

import (
	"time"

	"example.com/lockstep/pkg/frame"
)

// MaxSessionAge is how far a session's birth may lie from the broker's time. Publishers renew theirs long before, so an older
// session means a late copy or a wrong clock. Workers rely on this bound when they forget a publisher.
const MaxSessionAge = 12 * time.Hour

// Age returns how old a session is by the broker's time, and whether a router takes its frames.
func Age(s frame.Session, broker time.Time) (age time.Duration, ok bool) {
	age = broker.Sub(s.BirthTime())
	return age, age <= MaxSessionAge && age >= -MaxSessionAge
}
