package route

import (
	"time"

	"example.com/lockstep/pkg/internal/elsewhere"
)

const (
	leaseLookEvery = 250 * time.Millisecond
	// leasePatience is how long a router without a lease waits, on a connection that stands, before it tries another server.
	leasePatience = time.Second
)

// roam tries the cluster's other servers while the lease cannot be renewed: a router without one acknowledges nothing, so
// it loses nothing by that.
func (r *Router) roam() {
	defer r.done.Done()
	look := time.NewTicker(leaseLookEvery)
	defer look.Stop()
	var outage elsewhere.Outage
	for {
		select {
		case now := <-look.C:
			if _, valid := r.lease.Valid(); valid {
				outage.End()
			} else if r.nc.IsConnected() && outage.Goes(now, leasePatience, len(r.nc.Servers())) {
				r.cfg.Log.Warn("no lease on this connection to NATS; trying another server")
				_ = r.nc.ForceReconnect() // fails only if the connection is closed
			}
		case <-r.quit:
			return
		}
	}
}
