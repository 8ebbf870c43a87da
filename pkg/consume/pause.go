package consume

import "time"

// pause is until when a worker takes no new rounds. It runs out by itself, unless a client asks again. It has no clock.
type pause struct {
	until time.Time // zero: it takes rounds
}

// ask takes a request that comes at now: to pause for d from now on, or with 0 to resume. The newest request counts,
// whether it ends earlier or later than the one before. ask tells whether the worker turns from taking rounds to not
// taking them, or back.
func (p *pause) ask(d time.Duration, now time.Time) (turned bool) {
	was := p.paused()
	p.until = time.Time{}
	if d > 0 {
		p.until = now.Add(d)
	}
	return p.paused() != was
}

// pass says that it is now, and tells whether the pause has run out with it.
func (p *pause) pass(now time.Time) (turned bool) {
	if !p.paused() || now.Before(p.until) {
		return false
	}
	p.until = time.Time{}
	return true
}

func (p *pause) paused() bool { return !p.until.IsZero() }

// left is how much of the pause is left at now.
func (p *pause) left(now time.Time) time.Duration {
	if !p.paused() {
		return 0
	}
	return max(0, p.until.Sub(now))
}
