package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	readyCheck = 20 * time.Millisecond
	stopTime   = 30 * time.Second
)

// child is a process that we have started. It leads a process group of its own, so that a Ctrl-C reaches us alone.
type child struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error // why it ended; set before ended is closed
}

// startChild starts a program whose output goes into a log file. The variables of env come on top of our own.
func startChild(log string, env []string, path string, args ...string) (*child, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own
	c := &child{cmd: exec.Command(path, args...), log: log, ended: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = out, out
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.SysProcAttr = attributes()
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

// terminate asks the child and all it has started to end.
func (c *child) terminate() { _ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGTERM) }

// stop ends the child and all it has started, and returns when it is gone.
func (c *child) stop() {
	c.terminate()
	select {
	case <-c.ended:
	case <-time.After(stopTime):
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		<-c.ended
	}
}

// poll asks again and again until there is no error, the child ends, or the time is over.
func poll(ctx context.Context, limit time.Duration, what string, of *child, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(readyCheck)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-of.ended:
			return fmt.Errorf("%s: it has ended: %w", what, errors.Join(of.err))
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %w", what, ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// lastLines is the end of a log, in one line.
func lastLines(log string) string {
	const lines = 3
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "its log ends: " + strings.Join(all[max(0, len(all)-lines):], "; ")
}
