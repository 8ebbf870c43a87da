package publish

import "time"

// reapTime is how often events are looked for whose time is over.
const reapTime = 500 * time.Millisecond

// reap gives up what has waited too long. It does so beside run, which a stalled connection may hold up in a write.
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
				p.cfg.Log.Warn("nothing heard from NATS or a router since frames were sent; they are sent again",
					"server", server, "silent_for", silent.Round(time.Second), "outstanding", outstanding)
			}
		case <-p.quit:
			return
		}
	}
}

// full tells whether an event of that size has no room. Events that OnResolve has yet to hear of take room too.
func (p *Publisher) full(size int) bool { return p.w.Full(size) || len(p.ended) >= p.cfg.MaxEvents }

// roomy tells whether those who wait for room for an event of that size may go on.
func (p *Publisher) roomy(size int) bool { return p.w.Roomy(size) && len(p.ended) < p.cfg.MaxEvents }
