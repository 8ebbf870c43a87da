package publish

import (
	"time"

	"example.com/lockstep/pkg/frame"
)

// failoverPatience is how long every answer must say that nothing can be stored before the publisher tries another server of
// the NATS cluster. It leaves time to connect and to send again within 5 s.
const failoverPatience = 2 * time.Second

// shouldFailOver tells whether to try another server: this one, or the routers behind it, may be cut off from the log. A busy
// router or a full log is no reason: it is the same for every server.
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
