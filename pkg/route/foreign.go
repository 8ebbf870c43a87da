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
		r.cfg.Log.Info("cannot tell whether other streams take the app's subjects", "error", err)
		return
	}
	for _, f := range found {
		r.cfg.Log.Warn("another stream takes the app's subjects and confirms what is sent there, though it is not the log: let it take other subjects, or mirror the log",
			"stream", f.Stream, "takes", f.Takes)
	}
}
