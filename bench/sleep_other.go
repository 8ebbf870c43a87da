//go:build !linux

package main

import "time"

func sleepShort(d time.Duration) { time.Sleep(d) }
