package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// machine is where a sitting took place. What cannot be found out is "unknown".
type machine struct {
	Cores                     int
	CPU, Memory, Kernel, Disk string
}

// thisMachine describes this one, and the disk that dir lies on.
func thisMachine(dir string) machine {
	return machine{
		Cores:  runtime.NumCPU(),
		CPU:    known(field(readText("/proc/cpuinfo"), "model name")),
		Memory: known(gibibytes(field(readText("/proc/meminfo"), "MemTotal"))),
		Kernel: known(runtime.GOOS + " " + strings.TrimSpace(readText("/proc/sys/kernel/osrelease"))),
		Disk:   known(disk(readText("/proc/mounts"), dir)),
	}
}

func readText(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "" // as on systems without /proc
	}
	return string(b)
}

func known(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return "unknown"
	}
	return s
}

// field is the value of the first line "name : value".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if before, after, found := strings.Cut(line, ":"); found && strings.TrimSpace(before) == name {
			return strings.TrimSpace(after)
		}
	}
	return ""
}

// gibibytes rewrites a number like "24689512 kB".
func gibibytes(s string) string {
	kib, err := strconv.ParseFloat(strings.TrimSuffix(s, " kB"), 64)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%.0f GiB", kib/(1<<20))
}

// disk is the kind of file system that dir lies on, and its device, by the lines of /proc/mounts.
func disk(mounts, dir string) (found string) {
	longest := -1
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 3 || len(f[1]) <= longest {
			continue
		}
		if rel, err := filepath.Rel(f[1], dir); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			longest, found = len(f[1]), f[2]+" on "+filepath.Base(f[0])
		}
	}
	return found
}
