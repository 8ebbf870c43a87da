// Package demo shows what a stack promises: it loads one, kills a process half-way and judges every event.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"example.com/lockstep/deployments/local/internal/process"
	"example.com/lockstep/deployments/local/internal/stack"
	"example.com/lockstep/deployments/local/internal/stackdir"
)

// ErrVerdict says that the run was judged and did not pass; the report has been printed.
var ErrVerdict = errors.New("the verdict is fail")

// Config says what to show.
type Config struct {
	Stack    stack.Config // Dir and NATSPort are chosen here
	Kill     string       // role of the process to kill, or none
	Rate     string       // events per second, or max
	Duration time.Duration
	Keys     int
	Size     int // bytes
	Out      io.Writer
}

// KillNone kills nothing.
const KillNone = "none"

// demo is one demonstration in a directory of its own.
type demo struct {
	cfg Config
	dir string
}

// Run runs the demonstration. When soft ends it stops everything in order, when hard ends at once. The directory is
// removed if the verdict is pass or the run was interrupted, and named and kept otherwise.
func Run(soft, hard context.Context, cfg Config) error {
	dir, err := os.MkdirTemp("", "lockstep-demo-")
	if err != nil {
		return fmt.Errorf("cannot make a directory for the demo: %w", err)
	}
	d := &demo{cfg: cfg, dir: dir}
	err = d.run(soft, hard)
	if soft.Err() != nil {
		err = fmt.Errorf("demo stopped: %w", context.Cause(soft))
	} else if err != nil {
		d.say("logs and report are kept in %s", dir)
		return err
	}
	return errors.Join(err, os.RemoveAll(dir))
}

func (d *demo) run(soft, hard context.Context) (err error) {
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
	if err := d.load(soft, hard, s); err != nil {
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

// load runs the producer to its end and kills a process half-way.
func (d *demo) load(soft, hard context.Context, s *stack.Stack) error {
	starter := process.NewStarter()
	defer starter.Close()
	producer, err := starter.Start(process.Spec{
		Name: "producer",
		Path: filepath.Join(d.cfg.Stack.Bin, "producer"),
		Args: []string{
			"load", "--stack=" + d.stackDir(), "--rate=" + d.cfg.Rate, "--duration=" + d.cfg.Duration.String(),
			"--keys=" + strconv.Itoa(d.cfg.Keys), "--size=" + strconv.Itoa(d.cfg.Size), "--out=" + d.reportFile(),
		},
		Log: filepath.Join(d.dir, "producer.log"),
	})
	if err != nil {
		return err
	}
	d.say("sending for %s: rate %s, %s, %d bytes each", d.cfg.Duration, d.cfg.Rate, count(d.cfg.Keys, "key"), d.cfg.Size)
	halfWay := time.NewTimer(d.cfg.Duration / 2)
	defer halfWay.Stop()
	for {
		select {
		case <-halfWay.C:
			if err := d.kill(soft, s); err != nil {
				stopProducer(hard, producer)
				return err
			}
		case <-producer.Ended():
			// A verdict of fail is an exit code as well: the report tells more.
			if _, err := os.Stat(d.reportFile()); err != nil {
				return fmt.Errorf("the load wrote no report: %s", producer.Outcome())
			}
			return nil
		case <-soft.Done():
			stopProducer(hard, producer)
			return context.Cause(soft)
		}
	}
}

// stopProducer ends the producer: its run will not be judged, so it need not finish it.
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

func (d *demo) kill(ctx context.Context, s *stack.Stack) error {
	if d.cfg.Kill == KillNone {
		return nil
	}
	victim, doing, err := d.victim(ctx, s.File())
	if err != nil {
		return err
	}
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", victim.Name, err)
	}
	d.say("kill -9 %d: %s%s", victim.PID, victim.Name, doing)
	return nil
}

// victim chooses the process to kill: of the workers the one with most shards, else the last of its role. It also
// returns what the process is doing, for people.
func (d *demo) victim(ctx context.Context, f stackdir.File) (victim stackdir.Process, doing string, err error) {
	most := -1
	for _, p := range f.Processes {
		if p.Role != d.cfg.Kill {
			continue
		}
		owned := 0
		if p.Role == stackdir.RoleWorker {
			if owned, err = d.cfg.ShardsOf(ctx, f, p.Name); err != nil {
				return victim, "", err
			}
			if owned > most {
				doing = ", the owner of " + count(owned, "shard")
			}
		}
		if owned > most || p.Role != stackdir.RoleWorker {
			victim, most = p, owned
		}
	}
	if victim.PID == 0 {
		return victim, "", fmt.Errorf("there is no %s to kill", d.cfg.Kill)
	}
	return victim, doing, nil
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
