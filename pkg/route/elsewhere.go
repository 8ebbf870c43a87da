package route

import (
	"time"

	"example.com/lockstep/pkg/internal/elsewhere"
)

const (
	permitLookEvery = 250 * time.Millisecond
	// permitPatience is how long a router without a permit waits, on a connection that stands, before it tries another server.
	permitPatience = time.Second
)

// roam tries the cluster's other servers while the permit cannot be renewed: a router without one acknowledges nothing, so
// it loses nothing by that.
func (r *Router) roam() {
	defer r.done.Done()
	look := time.NewTicker(permitLookEvery)
	defer look.Stop()
	var outage elsewhere.Outage
	for {
		select {
		case now := <-look.C:
			if _, valid := r.permit.Valid(); valid {
				outage.End()
			} else if r.nc.IsConnected() && outage.Goes(now, permitPatience, len(r.nc.Servers())) {
				r.cfg.Log.Warn("no permit on this connection to NATS; trying another server")
				_ = r.nc.ForceReconnect() // fails only if the connection is closed
			}
		case <-r.quit:
			return
		}
	}
}
