// Package demo shows that a stack keeps its promises: it loads one, breaks its parts in turn and judges every event.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/stack"
	"example.com/lockstep/deployments/local/status"
	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/stackfile"
)

// ErrVerdict says that the verdict is not pass. The report has been printed.
var ErrVerdict = errors.New("the verdict is not pass")

// Config says what to run and to break.
type Config struct {
	Stack        stack.Config // Run sets Dir and NATSPort
	Break        []string     // what to break while events are sent, in turn: HangRouter, KillRouter, KillWorker, WipeStore
	Rate         string       // events per second, or max
	Duration     time.Duration
	Keys         int
	Distribution string // of events over keys, as the producer takes it
	Size         int    // bytes
	Out          io.Writer
	// Owned returns how many shards each worker owns, by the worker's name; default: Owned.
	Owned func(context.Context, stackfile.File) (map[string]int, error)
}

// Values of Config.Break.
const (
	HangRouter = "hang"               // a router is stopped and continues after hangTime
	KillRouter = stackfile.RoleRouter // kill -9
	KillWorker = stackfile.RoleWorker // kill -9 of the worker that owns most shards
	WipeStore  = "store"              // everything in Redis is deleted
)

// Usual is the default of Config.Break. Each step finds mistakes that the others miss: after a hang the log holds events
// twice, since publishers sent them again; after a worker's death others go on with its unfinished rounds; after the wipe
// the workers fill the store from the log.
func Usual() []string { return []string{HangRouter, KillWorker, WipeStore} }

// hangTime is more than a publisher's attempt takes (0.5 s) and less than a router's permit lasts without renewal (2 s).
const hangTime = time.Second

// demo is one demonstration in a directory of its own.
type demo struct {
	cfg  Config
	app  stack.App
	dir  string
	hung *process.Process // the router that was stopped and does not run yet
}

// Run runs the demonstration. When soft ends it stops everything in order, when hard ends at once. It removes the directory
// if the verdict is pass or the run was interrupted; otherwise it keeps the directory and prints its name.
func Run(soft, hard context.Context, cfg Config) error {
	app, err := cfg.check()
	if err != nil {
		return err
	}
	if cfg.Owned == nil {
		cfg.Owned = Owned
	}
	d := &demo{cfg: cfg, app: app}
	return d.inDirectory(soft, func() error { return d.run(soft, hard, d.load) })
}

// check also returns the app, which is the stack's first.
func (c *Config) check() (stack.App, error) {
	if err := c.Stack.Check(); err != nil {
		return stack.App{}, err
	}
	apps, err := c.Stack.Apps()
	if err != nil {
		return stack.App{}, err
	}
	return apps[0], stack.CheckPrograms(c.Stack.Bin, apps[0].Producer)
}

// inDirectory runs a demonstration in a new directory.
func (d *demo) inDirectory(soft context.Context, run func() error) error {
	dir, err := os.MkdirTemp("", appname.Default+"-demo-")
	if err != nil {
		return fmt.Errorf("cannot make a directory for the demo: %w", err)
	}
	d.dir = dir
	err = run()
	if soft.Err() != nil {
		err = fmt.Errorf("demo stopped: %w", context.Cause(soft))
	} else if err != nil {
		d.say("logs and report are kept in %s", dir)
		return err
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// run starts a stack, plays on it and prints the report that the producer has written then.
func (d *demo) run(soft, hard context.Context, play func(soft, hard context.Context, s *stack.Stack) error) (err error) {
	cfg := d.cfg.Stack
	cfg.Dir, cfg.NATSPort = d.stackDir(), stack.PortAny
	s, err := stack.New(cfg)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := s.Stop(hard); stopErr != nil {
			err = errors.Join(err, stopErr)
		}
	}()
	began := time.Now()
	if err := s.Start(soft); err != nil {
		return err
	}
	d.say("a stack is up after %.1f s: %s, %s, %s, NATS JetStream", time.Since(began).Seconds(),
		count(cfg.Workers, "worker"), count(cfg.Routers, "router"), s.RedisKind())
	if err := play(soft, hard, s); err != nil {
		return err
	}
	r, err := readReport(d.reportFile())
	if err != nil {
		return err
	}
	fmt.Fprint(d.cfg.Out, r.table())
	if r.Verdict != verdictPass {
		return ErrVerdict
	}
	return nil
}

// load runs the producer to its end and meanwhile breaks what Config.Break says, at equal distances.
func (d *demo) load(soft, hard context.Context, s *stack.Stack) error {
	starter := process.NewStarter()
	defer starter.Close()
	producer, err := starter.Start(d.producer())
	if err != nil {
		return err
	}
	d.say("sending for %s: rate %s, %s (%s), %d bytes each", d.cfg.Duration, d.cfg.Rate, count(d.cfg.Keys, "key"), d.cfg.Distribution, d.cfg.Size)
	defer d.resume()
	var hangs <-chan time.Time // ends the hang
	steps := d.cfg.Break
	every := time.NewTicker(d.cfg.Duration / time.Duration(len(steps)+1))
	defer every.Stop()
	for {
		select {
		case <-hangs:
			d.resume()
		case <-every.C:
			if len(steps) == 0 {
				continue
			}
			if err := d.breaks(soft, s, steps[0]); err != nil {
				stopProducer(hard, producer)
				return err
			}
			if steps[0] == HangRouter {
				hangs = time.After(hangTime)
			}
			steps = steps[1:]
		case <-producer.Ended():
			return d.reported(producer)
		case <-soft.Done():
			stopProducer(hard, producer)
			return context.Cause(soft)
		}
	}
}

// reported returns an error unless the producer has written its report. The exit code is not checked: the report has the verdict.
func (d *demo) reported(producer *process.Process) error {
	if _, err := os.Stat(d.reportFile()); err != nil {
		return fmt.Errorf("the load wrote no report: %s", producer.Outcome())
	}
	return nil
}

func (d *demo) producer() process.Spec {
	return process.Spec{
		Name: "producer",
		Path: filepath.Join(d.cfg.Stack.Bin, d.app.Producer),
		Args: []string{
			"load", "--stack=" + d.stackDir(), "--rate=" + d.cfg.Rate, "--duration=" + d.cfg.Duration.String(),
			"--keys=" + strconv.Itoa(d.cfg.Keys), "--distribution=" + d.cfg.Distribution, "--size=" + strconv.Itoa(d.cfg.Size),
			"--out=" + d.reportFile(),
		},
		Log: filepath.Join(d.dir, "producer.log"),
	}
}

// stopProducer ends the producer. The run will not be judged, so it need not finish.
func stopProducer(hard context.Context, p *process.Process) {
	p.Signal(syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(hard, producerStop)
	defer cancel()
	select {
	case <-p.Ended():
	case <-ctx.Done():
		p.Signal(syscall.SIGKILL)
		<-p.Ended()
	}
}

const producerStop = 3 * time.Second

func (d *demo) breaks(ctx context.Context, s *stack.Stack, what string) error {
	switch what {
	case WipeStore:
		return d.wipe(ctx, s)
	case HangRouter:
		return d.hang(ctx, s)
	}
	return d.kill(ctx, s, what)
}

// hang stops a router, until resume is called. The next steps do not wait for that: the wipe must come while events are sent.
func (d *demo) hang(ctx context.Context, s *stack.Stack) error {
	victim, _, err := d.victim(ctx, s.File(), stackfile.RoleRouter)
	if err != nil {
		return err
	}
	if d.hung, err = s.Signal(victim.Name, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop %s: %w", victim.Name, err)
	}
	d.say("kill -STOP %d: %s, for %s", victim.PID, victim.Name, hangTime)
	return nil
}

// resume lets the router continue that hang has stopped.
func (d *demo) resume() {
	if d.hung != nil {
		d.hung.Signal(syscall.SIGCONT) // false if it was killed meanwhile
		d.hung = nil
	}
}

func (d *demo) kill(ctx context.Context, s *stack.Stack, role string) error {
	victim, doing, err := d.victim(ctx, s.File(), role)
	if err != nil {
		return err
	}
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", victim.Name, err)
	}
	d.say("kill -9 %d: %s%s", victim.PID, victim.Name, doing)
	return nil
}

// wipe deletes everything in Redis: states, positions and locks. It leaves a Redis alone that the stack did not start.
func (d *demo) wipe(ctx context.Context, s *stack.Stack) error {
	if !d.cfg.Stack.OwnsRedis() {
		d.say("the store is not wiped: Redis is not the stack's own")
		return nil
	}
	client := redis.NewClient(&redis.Options{Addr: s.File().Redis})
	defer client.Close()
	if err := client.FlushAll(ctx).Err(); err != nil {
		return fmt.Errorf("wipe the store: %w", err)
	}
	d.say("FLUSHALL of %s: the store is empty, the workers fill it again from the log", s.RedisKind())
	return nil
}

// victim chooses the process to break: the worker that owns most shards, or the first process of another role. It also
// returns a note for the user on the process's part.
func (d *demo) victim(ctx context.Context, f stackfile.File, role string) (victim stackfile.Process, doing string, err error) {
	candidates := slices.DeleteFunc(f.Processes, func(p stackfile.Process) bool { return p.Role != role })
	if len(candidates) == 0 {
		return victim, "", fmt.Errorf("there is no %s to kill", role)
	}
	if role != stackfile.RoleWorker {
		return candidates[0], "", nil
	}
	owned, err := d.cfg.Owned(ctx, f)
	if err != nil {
		return victim, "", fmt.Errorf("choose a worker to kill: %w", err)
	}
	victim = slices.MaxFunc(candidates, func(a, b stackfile.Process) int { return cmp.Compare(owned[a.Name], owned[b.Name]) })
	if owned[victim.Name] == 0 {
		return victim, "", errors.New("no worker owns a shard: killing one would show nothing")
	}
	return victim, ", the owner of " + count(owned[victim.Name], "shard"), nil
}

// Owned asks a stack how many shards each worker owns, by the worker's name.
func Owned(ctx context.Context, f stackfile.File) (map[string]int, error) {
	r, err := status.Ask(ctx, f.NATS, f.App)
	if err != nil {
		return nil, err
	}
	owned := map[string]int{}
	for _, w := range r.Workers {
		owned[w.Name] = len(w.Shards)
	}
	return owned, nil
}

func (d *demo) stackDir() string { return filepath.Join(d.dir, "stack") }

func (d *demo) reportFile() string { return filepath.Join(d.dir, "report.json") }

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.cfg.Out, format+"\n", args...) }

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
