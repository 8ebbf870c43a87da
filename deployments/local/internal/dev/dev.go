// Package dev keeps the services of a running stack at the state of their sources: it builds a program again when a file that it
// depends on changes, and restarts its processes, one after the other and each in order.
//
//   - While a program does not compile, its processes go on as they are.
//   - A change that comes while processes are restarted ends the wait for them: what is new is built first.
package dev

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Program is one of the stack's programs, whose source is in services/<Name>.
type Program struct {
	Name      string
	Processes []string // in the order of their restart
}

// Config says what to keep up to date.
type Config struct {
	Root     string // of the repository
	Bin      string // directory of the built programs
	Programs []Program
	// Restart tells a process to end, which then starts with the program that is in Bin now; ready waits until it is ready.
	Restart func(process string) (ready func(context.Context) error, err error)
	// Say prints lines for the user.
	Say func(text string)
}

// readyWait is how long a process with a new program may take to be ready.
const readyWait = 30 * time.Second

// Dev watches sources. Its methods are for one goroutine.
type Dev struct {
	cfg     Config
	watcher *watcher
	sources atomic.Pointer[sources]
	states  []*state
}

// state is what is known of a program.
type state struct {
	Program
	built    [sha256.Size]byte // what lies in Bin
	outdated bool              // the sources may be newer than what lies in Bin
	stale    []string          // processes that run an older program than that in Bin
	// The process before them, which has restarted and may not be ready: "" for none.
	restarted string
	ready     func(context.Context) error
}

// New begins to watch. Run builds all that is newer than its program, and all that changes from now on.
func New(ctx context.Context, cfg Config) (*Dev, error) {
	root, err := filepath.EvalSymlinks(cfg.Root)
	if err != nil {
		return nil, fmt.Errorf("watch the sources: %w", err)
	}
	cfg.Root = root
	d := &Dev{cfg: cfg}
	for _, p := range cfg.Programs {
		sum, err := sumOf(filepath.Join(cfg.Bin, p.Name))
		if err != nil {
			return nil, err
		}
		d.states = append(d.states, &state{Program: p, built: sum})
	}
	d.sources.Store(&sources{})
	if d.watcher, err = newWatcher(root, func(path string) bool { return d.sources.Load().matter(path) }); err != nil {
		return nil, fmt.Errorf("watch the sources: %w", err)
	}
	if err := d.list(ctx); err != nil {
		d.watcher.close()
		return nil, err
	}
	return d, nil
}

// Run builds and restarts until ctx ends.
func (d *Dev) Run(ctx context.Context) error {
	defer d.watcher.close()
	staging, err := os.MkdirTemp(d.cfg.Bin, ".dev-")
	if err != nil {
		return fmt.Errorf("make a directory for new programs: %w", err)
	}
	defer func() { _ = os.RemoveAll(staging) }() // what stays is harmless
	d.markAll()                                  // a source may be newer than its program
	d.catchUp(ctx, staging)
	for {
		changed, err := d.watcher.next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil { // some changes may have been missed
			d.say("cannot watch the sources: %v; building every program", err)
			d.markAll()
		}
		d.mark(changed)
		if err := d.list(ctx); err != nil {
			d.say("%v", err)
		}
		d.mark(changed)
		d.catchUp(ctx, staging)
	}
}

// list learns again what each program depends on: a change may have added an import.
func (d *Dev) list(ctx context.Context) error {
	var names []string
	for _, s := range d.states {
		names = append(names, s.Name)
	}
	listed, err := listSources(ctx, d.cfg.Root, names)
	if err == nil {
		d.sources.Store(listed)
	}
	return err
}

// mark notes the programs that depend on one of the paths.
func (d *Dev) mark(paths []string) {
	known := d.sources.Load()
	for _, s := range d.states {
		s.outdated = s.outdated || slices.ContainsFunc(paths, func(path string) bool { return known.of(s.Name, path) })
	}
}

func (d *Dev) markAll() {
	for _, s := range d.states {
		s.outdated = true
	}
}

// catchUp builds programs and restarts processes, until nothing is left to do, something fails, or another change comes.
func (d *Dev) catchUp(ctx context.Context, staging string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fresh := d.watcher.fresh()
	ended := make(chan struct{})
	defer func() { cancel(); <-ended }()
	go func() {
		defer close(ended)
		select {
		case <-fresh:
			cancel()
		case <-ctx.Done():
		}
	}()
	for _, s := range d.states {
		if s.outdated {
			d.build(ctx, s, staging)
		}
	}
	for _, s := range d.states {
		d.restart(ctx, s)
	}
}

// build builds a program. If it is another than before, its processes are stale from then on.
func (d *Dev) build(ctx context.Context, s *state, staging string) {
	began := time.Now()
	program := filepath.Join(staging, s.Name)
	if err := compile(ctx, d.cfg.Root, s.Name, program); err != nil {
		if ctx.Err() == nil {
			d.say("%s does not compile, its processes go on as they are:\n%s", s.Name, strings.TrimSpace(err.Error()))
		}
		return
	}
	sum, err := sumOf(program)
	if err == nil && sum != s.built {
		err = os.Rename(program, filepath.Join(d.cfg.Bin, s.Name))
	}
	if err != nil {
		d.say("cannot install %s: %v", s.Name, err)
		return
	}
	s.outdated = false
	if sum == s.built {
		return
	}
	d.say("built %s in %.1f s", s.Name, time.Since(began).Seconds())
	s.built, s.stale, s.restarted = sum, s.Processes, ""
}

// restart restarts the stale processes of a program, until one is not ready in time: then the others keep the program that works.
func (d *Dev) restart(ctx context.Context, s *state) {
	for ctx.Err() == nil {
		if s.restarted == "" {
			if len(s.stale) == 0 {
				return
			}
			ready, err := d.cfg.Restart(s.stale[0])
			if err != nil {
				d.say("cannot restart %s: %v", s.stale[0], err)
				return
			}
			s.restarted, s.ready, s.stale = s.stale[0], ready, s.stale[1:]
		}
		once, cancel := context.WithTimeoutCause(ctx, readyWait, fmt.Errorf("not after %s", readyWait))
		err := s.ready(once)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				d.say("%s is not ready with the new program: %v%s", s.restarted, err, others(s.stale))
			}
			return
		}
		s.restarted = ""
	}
}

// others says that stale processes go on as they are.
func others(stale []string) string {
	if len(stale) == 0 {
		return ""
	}
	return "; the program before goes on in " + strings.Join(stale, ", ")
}

func (d *Dev) say(format string, args ...any) { d.cfg.Say(fmt.Sprintf(format, args...)) }

// sumOf returns the hash of a file.
func sumOf(path string) (sum [sha256.Size]byte, err error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return sum, fmt.Errorf("there is no program %s: build it with `go tool task build`", path)
	}
	return sha256.Sum256(content), err
}
