package route

import (
	"time"

	"example.com/lockstep/pkg/internal/failover"
)

const (
	permitCheckEvery = 250 * time.Millisecond
	// permitPatience is how long a connected router without a permit waits before it tries another server.
	permitPatience = time.Second
)

// failOver tries the cluster's other servers while the permit cannot be renewed. A router without a permit acknowledges
// nothing, so a reconnect costs nothing.
func (r *Router) failOver() {
	defer r.done.Done()
	check := time.NewTicker(permitCheckEvery)
	defer check.Stop()
	var outage failover.Outage
	for {
		select {
		case now := <-check.C:
			if _, valid := r.permit.Valid(); valid || r.watcher.Err() != nil {
				outage.End() // no other server has a topology that can be read
			} else if r.nc.IsConnected() && outage.Continues(now, permitPatience, len(r.nc.Servers())) {
				r.cfg.Log.Warn("no permit on this connection to NATS; trying another server")
				_ = r.nc.ForceReconnect() // fails only if the connection is closed
			}
		case <-r.quit:
			return
		}
	}
}
