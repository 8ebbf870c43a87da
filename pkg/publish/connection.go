package publish

import (
	"time"
)

// watchConnection sends again what was in flight on a connection that was lost, as soon as there is another one.
func (p *Publisher) watchConnection() {
	status := p.status
	for {
		select {
		case _, open := <-status:
			if !open {
				status = nil
				continue
			}
			server := p.nc.ConnectedUrlRedacted()
			p.mu.Lock()
			p.server = server
			p.w.SendAgain(time.Now())
			p.mu.Unlock()
			p.wake()
		case <-p.quit:
			return
		}
	}
}

// deaf is called when a subscription has ended. If not we ended it the connection is closed for good, or drained before
// that, and no answer can come any more.
func (p *Publisher) deaf() {
	p.mu.Lock()
	if p.unsubscribed || p.lost {
		p.mu.Unlock()
		return
	}
	p.lost = true
	p.mu.Unlock()
	p.abandon(ErrDisconnected)
}

// silenceLimit is how long nothing at all is heard, while frames are in flight, before that is logged.
const silenceLimit = 5 * time.Second

// silence is the time for which nothing is heard of frames in flight. It is told once.
type silence struct {
	begun time.Time // zero: of nothing in flight
	told  bool
}

// lasts notes that nothing has been heard by now, and returns for how long, and whether to tell it.
func (s *silence) lasts(now time.Time, inFlight bool) (d time.Duration, tell bool) {
	switch {
	case !inFlight:
		s.begun = time.Time{}
	case s.begun.IsZero():
		s.begun = now
	default:
		d = now.Sub(s.begun)
		tell = d >= silenceLimit && !s.told
		s.told = s.told || tell
	}
	return d, tell
}

// end notes that something was heard.
func (s *silence) end() { *s = silence{} }
