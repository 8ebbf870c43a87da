package main

import (
	"syscall"
	"time"
)

// sleepShort sleeps as Lockstep's own load does, so that both senders wake alike: Go's timers wait for whole milliseconds in an
// idle process. It may return early.
func sleepShort(d time.Duration) {
	t := syscall.NsecToTimespec(d.Nanoseconds())
	_ = syscall.Nanosleep(&t, nil) // a signal ends it early
}
