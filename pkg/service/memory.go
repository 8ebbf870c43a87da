package service

import (
	"os"
	"runtime/debug"
)

// gcPercent is how much garbage a service may pile up before a collection, in percent of its live memory.
const gcPercent = 400

// LimitMemory tunes the garbage collector for a service, which has little live memory and much garbage: it collects less
// often than Go's default, and more often only when the process nears limit, in bytes. GOGC and GOMEMLIMIT win where they
// are set.
func LimitMemory(limit int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}
