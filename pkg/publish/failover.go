package publish

import (
	"time"

	"example.com/lockstep/pkg/frame"
)

// failoverPatience is how long a publisher is told by all it hears that nothing can be stored, before it tries another server of
// a NATS cluster. It leaves time within 5 s to connect and to send again.
const failoverPatience = 2 * time.Second

// shouldFailOver tells whether to try another server: this one, or the routers that can be reached over it, may be cut off from the
// log. What is busy or full is so for every server.
func (p *Publisher) shouldFailOver(a frame.Answer, servers int, now time.Time) bool {
	if !p.unstored(a) {
		p.outage.End()
		return false
	}
	return p.outage.Continues(now, failoverPatience, servers)
}

func (p *Publisher) unstored(a frame.Answer) bool {
	return a.Retry && !p.cfg.KeepServer && (a.Code == frame.Closing || a.Code == frame.LogError)
}
