//go:build !linux

package drive

import "time"

func sleepShort(d time.Duration) { time.Sleep(d) }
