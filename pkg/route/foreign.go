package route

import (
	"context"
	"time"

	"example.com/lockstep/pkg/topology"
)

// foreignTimeout bounds how long a start looks for foreign streams.
const foreignTimeout = 2 * time.Second

// warnOfForeignStreams logs each stream that stores the app's subjects and is not its log. The router starts nevertheless.
func (r *Router) warnOfForeignStreams(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, foreignTimeout)
	defer cancel()
	found, err := topology.ForeignStreams(ctx, r.js, r.cfg.App)
	if err != nil {
		r.cfg.Log.Info("could not check for other streams on the app's subjects", "error", err)
		return
	}
	for _, f := range found {
		r.cfg.Log.Warn("another stream stores and acknowledges the app's subjects, though it is not the log: "+
			"give it other subjects, or let it mirror the log", "stream", f.Stream, "takes", f.Takes)
	}
}
