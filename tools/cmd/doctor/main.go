// Command doctor looks at this machine and says what the tasks need that it lacks, and what to do about each. The exit code is 1 only
// if something is missing without which a stack cannot run; a note is about one task, or about what becomes slower or less.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"example.com/lockstep/tools/modules"
)

// patience bounds the whole look: a Docker daemon that hangs must not hold it up.
const patience = 30 * time.Second

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	root, err := modules.Root(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "doctor:", err)
		os.Exit(1)
	}
	if !examine(ctx, os.Stdout, thisMachine(root)) {
		os.Exit(1)
	}
}

// machine is what doctor looks at, besides programs on PATH.
type machine struct {
	root      string // the repository's
	natsPort  int    // the port on loopback that a stack takes if it is free
	freeBytes func(dir string) (uint64, error)
	openFiles func() (uint64, error) // how many files a process may have open
	ci        bool                   // tests must not leave anything out
}

func thisMachine(root string) machine {
	return machine{root: root, natsPort: 4222, freeBytes: freeBytes, openFiles: openFiles, ci: os.Getenv("CI") == "true"}
}

// level tells how bad a finding is.
type level string

const (
	fine    level = "ok"
	note    level = "note"    // a task or two do less without it
	missing level = "MISSING" // a stack needs it
)

// finding is what doctor says of one thing.
type finding struct {
	subject string
	level   level
	found   string
	advice  string // what to do; "" if nothing
}

// examine prints its findings, and tells whether nothing that is needed is missing.
func examine(ctx context.Context, out io.Writer, m machine) bool {
	var needed, noted int
	for _, check := range []func(context.Context, machine) []finding{
		checkGo, checkCompiler, checkRedis, checkPorts, checkDisk, checkOpenFiles, checkDocker, checkOthers,
	} {
		for _, f := range check(ctx, m) {
			fmt.Fprintf(out, "%-8s %-14s %s\n", f.level, f.subject, f.found)
			if f.advice != "" {
				fmt.Fprintf(out, "%-8s %-14s -> %s\n", "", "", f.advice)
			}
			switch f.level {
			case missing:
				needed++
			case note:
				noted++
			}
		}
	}
	if needed > 0 {
		fmt.Fprintf(out, "\n%d missing, %d to note: a stack does not run before the missing is there.\n", needed, noted)
		return false
	}
	fmt.Fprintf(out, "\nNothing that a stack needs is missing (%d to note). Start with: go tool task demo\n", noted)
	return true
}
