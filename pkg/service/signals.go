package service

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// StopSignals returns the signals that ask a process to stop: SIGTERM, SIGINT and SIGHUP. A signal that was ignored when the
// process started stays ignored and is left out: nohup ignores SIGHUP, and a shell SIGINT for its background jobs. (SIGTERM is
// always listed, for Go's runtime handles it from the start.)
func StopSignals() []os.Signal {
	return slices.DeleteFunc([]os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}, signal.Ignored)
}
