package drive

import (
	"runtime"
	"syscall"
	"time"
)

// longSleep is from where on a millisecond more does not matter.
const longSleep = 2 * time.Millisecond

// sleepShort sleeps to within a tenth of a millisecond. Go's own timers wait for whole milliseconds in an idle process, so that
// events due every half would leave in pairs. It may return early. A goroutine in a system call keeps its processor for a while, so
// it needs a second one.
func sleepShort(d time.Duration) {
	if d >= longSleep || runtime.GOMAXPROCS(0) == 1 {
		time.Sleep(d)
		return
	}
	t := syscall.NsecToTimespec(d.Nanoseconds())
	_ = syscall.Nanosleep(&t, nil) // a signal ends it early
}
