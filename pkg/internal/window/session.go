package window

import "time"

// A session is renewed when it is older than sessionAge, or born in the future: the clock was set back.
const (
	sessionAge  = 6 * time.Hour
	sessionSkew = time.Minute
)

// renewSession begins a new generation when the session's time is up. Until what is in flight is resolved nothing leaves.
func (w *Window) renewSession(now time.Time) {
	age := now.UnixMilli() - w.session.Birth
	if age > sessionAge.Milliseconds() || age < -sessionSkew.Milliseconds() {
		w.renew = !w.begin(now)
	}
}

// begin starts a new generation if nothing is in flight, and tells whether it did. Seqs go on; the floor is above all of
// the generations before, whose late copies the new one closes.
func (w *Window) begin(birth time.Time) bool {
	if len(w.frames) > 0 {
		return false
	}
	w.session.Generation++
	w.session.Birth = birth.UnixMilli()
	w.renew = false
	return true
}
