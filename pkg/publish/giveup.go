package publish

import "time"

// reapTime is the time between two looks for events whose time is up.
const reapTime = 500 * time.Millisecond

// reap gives up frames and events whose time is up. It has a goroutine of its own: a stalled connection may block run in a
// write.
func (p *Publisher) reap() {
	tick := time.NewTicker(reapTime)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			p.mu.Lock()
			p.giveUp(p.w.GiveUp(now), ErrNotSent, ErrUnknown)
			p.signal()
			server, outstanding := p.server, p.w.Outstanding()
			silent, tell := p.silence.lasts(now, p.w.InFlight() > 0)
			p.mu.Unlock()
			p.report()
			if tell {
				p.cfg.Log.Warn("no answer from NATS or a router to the frames in flight; sending them again",
					"server", server, "silent_for", silent.Round(time.Second), "outstanding", outstanding)
			}
		case <-p.quit:
			return
		}
	}
}

// full tells whether there is no room for an event of that size. Events that wait for OnResolve take room too.
func (p *Publisher) full(size int) bool { return p.w.Full(size) || len(p.ended) >= p.cfg.MaxEvents }

// roomy tells whether calls that wait for room for an event of that size may go on.
func (p *Publisher) roomy(size int) bool { return p.w.Roomy(size) && len(p.ended) < p.cfg.MaxEvents }
