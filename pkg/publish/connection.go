package publish

import (
	"time"
)

// watchConnection sends the frames in flight again at each reconnect.
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

// deaf is called when a subscription has ended. Unless this publisher ended it, the connection is closed or drained for good,
// and no answer can come any more.
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

// silenceLimit is how long no answer comes while frames are in flight before that is logged.
const silenceLimit = 5 * time.Second

// silence is the time for which frames in flight have had no answer. It is logged once.
type silence struct {
	begun time.Time // zero: no frame is in flight
	told  bool
}

// lasts notes that no answer has come by now, and returns for how long, and whether to log it.
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

// end notes that an answer came.
func (s *silence) end() { *s = silence{} }
