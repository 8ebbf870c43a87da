package service

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// StopSignals returns the signals that ask a process to stop: SIGTERM, SIGINT and SIGHUP. Left out is one that was
// ignored when the process started, as nohup ignores SIGHUP, and a shell SIGINT for its background jobs: it stays ignored.
// (Of SIGTERM that cannot be told: Go's runtime handles it from the start.)
func StopSignals() []os.Signal {
	return slices.DeleteFunc([]os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}, signal.Ignored)
}
