package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	readyTime  = time.Minute
	readyCheck = 50 * time.Millisecond
	stopTime   = 30 * time.Second
)

// stack is a Lockstep of its own, in a directory of its own.
type stack struct {
	bin, dir string
	nats     string
	cmd      *exec.Cmd
	ended    chan error
}

func startStack(ctx context.Context, c *CLI) (*stack, error) {
	dir, err := os.MkdirTemp("", "lockstep-bench-")
	if err != nil {
		return nil, err
	}
	s := &stack{bin: c.Bin, dir: dir, ended: make(chan error, 1)}
	s.cmd = exec.Command(filepath.Join(c.Bin, "local"), "up", "--dir="+filepath.Join(dir, "stack"),
		"--shards="+strconv.Itoa(c.Shards), "--workers="+strconv.Itoa(c.Workers))
	log, err := os.Create(filepath.Join(dir, "up.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a stack: %w", err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	if err := s.ready(ctx); err != nil {
		_ = s.cmd.Process.Kill()
		return nil, fmt.Errorf("%w (see %s)", err, log.Name())
	}
	return s, nil
}

// ready waits for stack.json, which is there once the stack is ready.
func (s *stack) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	tick := time.NewTicker(readyCheck)
	defer tick.Stop()
	for {
		select {
		case err := <-s.ended:
			return fmt.Errorf("the stack ended: %w", errors.Join(err))
		case <-ctx.Done():
			return fmt.Errorf("the stack is not ready: %w", ctx.Err())
		case <-tick.C:
		}
		b, err := os.ReadFile(filepath.Join(s.dir, "stack", "stack.json"))
		if err != nil {
			continue
		}
		var f struct {
			NATS string `json:"nats"`
		}
		if err := json.Unmarshal(b, &f); err != nil {
			return err
		}
		s.nats = f.NATS
		return nil
	}
}

// load runs the producer as fast as it can, and returns the events applied a second. A verdict other than pass is an error.
func (s *stack) load(ctx context.Context, c *CLI) (float64, error) {
	out := filepath.Join(s.dir, "report.json")
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "producer"), "load", "--stack="+filepath.Join(s.dir, "stack"), "--out="+out,
		"--duration="+c.Duration.String(), "--keys="+strconv.Itoa(c.Keys), "--distribution="+c.Distribution, "--size="+strconv.Itoa(c.Size))
	if msg, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("load: %w\n%s", err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return 0, err
	}
	var report struct {
		Applied float64 `json:"applied_per_second"`
		Verdict string  `json:"verdict"`
	}
	if err := json.Unmarshal(b, &report); err != nil {
		return 0, err
	}
	if report.Verdict != "pass" {
		return 0, fmt.Errorf("the verdict is %q: see %s", report.Verdict, out)
	}
	return report.Applied, nil
}

// stop ends the stack and removes what it has stored.
func (s *stack) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(stopTime):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	_ = os.RemoveAll(s.dir)
}
