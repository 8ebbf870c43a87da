//go:build unix

package main

import (
	"fmt"
	"syscall"
)

// freeBytes returns how many bytes an ordinary user may still write in a directory's file system.
func freeBytes(dir string) (uint64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("look for free disk: %w", err)
	}
	return uint64(fs.Bavail) * uint64(fs.Bsize), nil //nolint:unconvert // their types differ from system to system
}

// openFiles returns the hard limit: programs of Go and redis-server raise their soft one to it.
func openFiles() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	return uint64(limit.Max), nil //nolint:unconvert // its type differs from system to system
}
