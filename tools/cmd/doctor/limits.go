package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
)

// Limits below which doctor speaks.
const (
	leastDisk  = 1 << 30  // bytes; a build and a short load
	enoughDisk = 10 << 30 // bytes; a stack's log may take 4 GiB, and Go's build cache some more with the tests
	leastFiles = 1024
	manyFiles  = 8192 // a stack of 256 shards, Redis and a load
)

// errUnknown is the error of a limit that this platform does not tell.
var errUnknown = errors.New("this platform does not tell it")

func checkPorts(_ context.Context, m machine) []finding {
	any, err := listen(0)
	if err != nil {
		return []finding{{
			"ports", missing, "cannot listen on 127.0.0.1: " + err.Error(),
			"everything in a stack listens on loopback: bring it up (ip link set lo up), or allow it in the sandbox",
		}}
	}
	_ = any.Close()
	usual, err := listen(m.natsPort)
	if err != nil {
		return []finding{{
			"ports", note, fmt.Sprintf("%d is taken, by a stack that runs or by another NATS", m.natsPort),
			"a stack takes any free port then: read it in what `up` prints, and give it to your own clients",
		}}
	}
	_ = usual.Close()
	return []finding{{"ports", fine, fmt.Sprintf("%d is free for NATS; all other ports are any free ones", m.natsPort), ""}}
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// checkDisk looks at where stacks, temporary files and Go's build cache lie.
func checkDisk(ctx context.Context, m machine) []finding {
	places := []struct{ what, dir string }{{"this repository", m.root}, {"temporary files", os.TempDir()}}
	if cache, err := says(ctx, m, "go", "env", "GOCACHE"); err == nil && cache != "" && cache != "off" {
		places = append(places, struct{ what, dir string }{"Go's build cache", cache})
	}
	least := finding{subject: "disk", level: note, found: "how much is free is unknown"}
	var fewest uint64
	for i, p := range places {
		free, err := m.freeBytes(p.dir)
		if errors.Is(err, os.ErrNotExist) { // the cache before the first build
			continue
		}
		if err != nil {
			return []finding{{subject: "disk", level: note, found: fmt.Sprintf("%s: %v", p.dir, err)}}
		}
		if i > 0 && free >= fewest {
			continue
		}
		fewest = free
		least.found = fmt.Sprintf("%.1f GiB free for %s (%s)", float64(free)/(1<<30), p.what, p.dir)
	}
	switch {
	case fewest < leastDisk:
		least.level = missing
		least.advice = "a build and a stack need 1 GiB: make room (go tool task clean, go clean -cache), or set TMPDIR and GOCACHE"
	case fewest < enoughDisk:
		least.advice = "a stack's log grows to 4 GiB and the tests' builds to some more: have 10 GiB for a day of work"
	default:
		least.level = fine
	}
	return []finding{least}
}

func checkOpenFiles(_ context.Context, m machine) []finding {
	f := finding{subject: "open files", level: note, advice: "raise the hard limit: ulimit -Hn 65536, as root, or in /etc/security/limits.conf"}
	n, err := m.openFiles()
	if err != nil {
		f.found, f.advice = err.Error(), ""
		return []finding{f}
	}
	f.found = fmt.Sprintf("a process may have %d", n)
	switch {
	case n < leastFiles:
		f.level = missing
	case n >= manyFiles:
		f.level, f.advice = fine, ""
	default:
		f.found += ", which is few for 256 shards"
	}
	return []finding{f}
}
