package service

import (
	"os"
	"runtime/debug"
)

// gcPercent is how much a service may throw away, relative to what lives, before it is collected.
const gcPercent = 400

// CollectLess makes the garbage collector run less often, for what lives in a service is small and what it throws away is
// much; but not so that the process holds much more than limit bytes. GOGC and GOMEMLIMIT win where they are set.
func CollectLess(limit int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}
