package route

import (
	"context"
	"time"

	"example.com/lockstep/pkg/topology"
)

// foreignTimeout bounds the look for foreign streams: a start does not wait for it for long.
const foreignTimeout = 2 * time.Second

// warnOfForeignStreams logs each stream that takes the app's subjects and is not its log. The router starts all the same.
func (r *Router) warnOfForeignStreams(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, foreignTimeout)
	defer cancel()
	found, err := topology.ForeignStreams(ctx, r.js, r.cfg.App)
	if err != nil {
		r.cfg.Log.Info("could not check for other streams on the app's subjects", "error", err)
		return
	}
	for _, f := range found {
		r.cfg.Log.Warn("another stream stores and acknowledges the app's subjects, though it is not the log: give it other subjects, or let it mirror the log",
			"stream", f.Stream, "takes", f.Takes)
	}
}
