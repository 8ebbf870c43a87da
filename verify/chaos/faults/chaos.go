// Package faults breaks the parts of a running stack by a plan, while a verified load goes through it.
//
//   - The plan is a pure value, and its seed decides everything random in it.
//   - The producer alone judges, by the same rules as without faults.
//   - However a run ends, it mends what it broke: no process stays stopped.
package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"example.com/lockstep/deployments/local/stack"
	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/verify/chaos/link"
)

// VerdictError says that the verdict is not pass. The report has been printed.
type VerdictError struct {
	Verdict string
	Code    int // the producer's exit code
}

func (e *VerdictError) Error() string { return "the verdict is " + e.Verdict }

// BoundsError says that the verdict is pass, but that events waited for too long after some faults.
type BoundsError struct{ Faults []string }

func (e *BoundsError) Error() string {
	return "events waited for longer than the bounds of " + strings.Join(e.Faults, ", ")
}

// ErrNoRedis says that there is no redis-server to break.
var ErrNoRedis = errors.New("needs redis-server on PATH: a stand-in inside this process cannot be killed")

// Config says what to run.
type Config struct {
	Stack  stack.Config // Run sets Dir, NATSPort, NATSProgram and Via; Redis is a redis-server, a cluster of them, or under Sentinel
	Plan   Plan
	Rate   string // events per second, or max
	Keys   int
	Report string // file for report.json
	Dir    string // for logs and data; default a new one, which is removed when the run passes
	Keep   bool   // keep the new one even then
	Bounds bool   // return a BoundsError if events wait for too long after a fault
	Out    io.Writer
}

// chaos is one run in a directory of its own.
type chaos struct {
	cfg     Config
	program string // that loads the stack's first app
	dir     string
}

// Run carries the plan out and returns the load's report. When soft ends it mends what is broken and stops everything in
// order, when hard ends at once. It keeps the directory and prints its name if the run failed or Config says so, and removes
// it otherwise. A verdict other than pass is a VerdictError.
func Run(soft, hard context.Context, cfg Config) (Report, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return Report{}, ErrNoRedis
	}
	cfg.Stack.NATSProgram = filepath.Join(cfg.Stack.Bin, "local")
	if err := cfg.Stack.Check(); err != nil {
		return Report{}, err
	}
	apps, err := cfg.Stack.Apps()
	if err != nil {
		return Report{}, err
	}
	producer := apps[0].Producer
	if err := stack.CheckPrograms(cfg.Stack.Bin, producer, "local"); err != nil {
		return Report{}, err
	}
	if cfg.Dir != "" {
		return (&chaos{cfg: cfg, program: producer, dir: cfg.Dir}).run(soft, hard)
	}
	dir, err := os.MkdirTemp("", appname.Default+"-chaos-")
	if err != nil {
		return Report{}, fmt.Errorf("cannot make a directory for the run: %w", err)
	}
	c := &chaos{cfg: cfg, program: producer, dir: dir}
	r, err := c.run(soft, hard)
	interrupted := soft.Err() != nil
	if interrupted {
		err = fmt.Errorf("stopped: %w", context.Cause(soft))
	}
	if cfg.Keep || err != nil && !interrupted {
		c.say("logs and data are kept in %s", dir)
		return r, err
	}
	return r, errors.Join(err, os.RemoveAll(dir))
}

func (c *chaos) run(soft, hard context.Context) (r Report, err error) {
	if err := c.cfg.Plan.Print(c.cfg.Out); err != nil {
		return r, err
	}
	links := &links{seed: c.cfg.Plan.Seed, ways: map[string]*link.Link{}}
	defer func() { err = errors.Join(err, links.close()) }()
	s, err := c.newStack(links)
	if err != nil {
		return r, err
	}
	defer func() {
		if stopErr := s.Stop(hard); stopErr != nil {
			err = errors.Join(err, stopErr)
		}
	}()
	if err := s.Start(soft); err != nil {
		return r, err
	}
	code, happened, err := c.load(soft, hard, s, links)
	if err != nil {
		return r, err
	}
	if r, err = readReport(c.cfg.Report); err != nil {
		return r, err
	}
	c.say("\n%s; the longest pause of a shard was %s; verdict: %s", count(len(happened), "fault"), longest(r), r.Verdict)
	if planned := len(c.cfg.Plan.Steps); len(happened) < planned {
		c.say("%d of %s did not begin before the load ended", planned-len(happened), count(planned, "fault"))
	}
	if code != 0 || r.Verdict != pass || r.UnknownKeys > 0 {
		return r, &VerdictError{Verdict: r.Verdict, Code: max(code, 1)}
	}
	return r, c.judge(happened, r)
}

// judge compares the waits of events with the bounds.
func (c *chaos) judge(happened []note, r Report) error {
	crossed, err := printTallies(c.cfg.Out, tallies(happened, r))
	if err == nil && c.cfg.Bounds && len(crossed) > 0 {
		err = &BoundsError{crossed}
	}
	return err
}

func shapeOf(cfg stack.Config) Shape {
	return Shape{Workers: cfg.Workers, Routers: cfg.Routers, Locks: cfg.LockServers, NATSServers: cfg.NATSServers, Redis: cfg.Redis}
}

func (c *chaos) newStack(links *links) (*stack.Stack, error) {
	cfg := c.cfg.Stack
	cfg.Dir, cfg.NATSPort = c.path("stack"), stack.PortAny
	if c.cfg.Plan.hasLinks() {
		cfg.Via = links.via
	}
	return stack.New(cfg)
}

func (c *chaos) notesFile() string { return c.path("faults.jsonl") }

func (c *chaos) path(name string) string { return filepath.Join(c.dir, name) }

func (c *chaos) say(format string, args ...any) { fmt.Fprintf(c.cfg.Out, format+"\n", args...) }
