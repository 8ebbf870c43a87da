package window

import "time"

// A session is renewed when it is older than sessionAge, or born in the future: the clock was set back.
const (
	sessionAge  = 6 * time.Hour
	sessionSkew = time.Minute
)

// renewSession begins a new generation when the session's time is up. Until all frames in flight are resolved no frame leaves.
func (w *Window) renewSession(now time.Time) {
	age := now.UnixMilli() - w.session.Birth
	if age > sessionAge.Milliseconds() || age < -sessionSkew.Milliseconds() {
		w.renew = !w.begin(now)
	}
}

// begin starts a new generation if nothing is in flight, and tells whether it did. Seqs go on. The
// floor is above all seqs of earlier generations, whose late copies the new generation closes.
func (w *Window) begin(birth time.Time) bool {
	if len(w.frames) > 0 {
		return false
	}
	w.session.Generation++
	w.session.Birth = birth.UnixMilli()
	w.renew = false
	return true
}
