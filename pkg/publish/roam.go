package publish

import (
	"time"

	"example.com/lockstep/pkg/frame"
)

// roamPatience is how long a publisher is told by all it hears that nothing can be stored, before it tries another server of
// a NATS cluster. It leaves time within 5 s to connect and to send again.
const roamPatience = 2 * time.Second

// roams tells whether to try another server: this one, or the routers that can be reached over it, may be cut off from the
// log. What is busy or full is so for every server.
func (p *Publisher) roams(a frame.Answer, now time.Time) bool {
	if a.Retry && !p.cfg.KeepServer && (a.Code == frame.Closing || a.Code == frame.LogError) {
		return p.outage.Goes(now, roamPatience, len(p.nc.Servers()))
	}
	p.outage.End()
	return false
}
