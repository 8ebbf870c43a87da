package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/pkg/stackfile"
)

// The names of servers that run once. ServiceName names those that run several times.
const (
	NATS  = stackfile.RoleNATS
	Redis = stackfile.RoleRedis
)

var (
	errNone  = errors.New("the stack has no such process")
	errEnded = errors.New("the process had ended by itself")
)

// Signal signals the running process of that name and returns it. It is an error if the process has ended.
func (s *Stack) Signal(name string, sig syscall.Signal) (*process.Process, error) {
	p, err := s.process(name)
	if err != nil {
		return nil, err
	}
	if !p.Signal(sig) {
		return nil, fmt.Errorf("send %q to %s: %w: %s", sig, name, errEnded, p.Outcome())
	}
	return p, nil
}

func (s *Stack) process(name string) (*process.Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.running[name]
	if p == nil {
		return nil, fmt.Errorf("%w: %s", errNone, name)
	}
	return p, nil
}

// Hold keeps the process of that name from being started again until release is called.
func (s *Stack) Hold(name string) (release func(), err error) {
	if one := s.server(name); one != nil {
		return one.kept().Hold(), nil
	}
	if c := s.child(name); c != nil {
		return c.keeper.Hold(), nil
	}
	return nil, fmt.Errorf("%w: %s", errNone, name)
}

// AwaitReady waits until the process of that name is ready and is not the given one, which may be nil.
func (s *Stack) AwaitReady(ctx context.Context, name string, not *process.Process) error {
	err := s.await(ctx, name, func(context.Context) error {
		p, err := s.process(name)
		if err != nil {
			return err
		}
		if p == not {
			return errors.New("not started again yet")
		}
		return nil
	})
	if err != nil {
		return err
	}
	if one := s.server(name); one != nil {
		return s.await(ctx, name, one.answers)
	}
	c := s.child(name)
	if c == nil {
		return fmt.Errorf("%w: %s", errNone, name)
	}
	return s.awaitReady(ctx, c)
}

// Restart ends a service in order, and waits until it is ready again, from now on with flags that win over those it had.
func (s *Stack) Restart(ctx context.Context, name string, flags ...string) error {
	c := s.child(name)
	if c == nil {
		return fmt.Errorf("%w: %s", errNone, name)
	}
	c.reflag(flags)
	p, err := s.Signal(name, syscall.SIGTERM)
	if err != nil {
		return err
	}
	return s.AwaitReady(ctx, name, p)
}

// Renew tells a service to end in order, unless it has ended by itself; then it starts with the program that is in place. ready
// waits until it is ready.
func (s *Stack) Renew(name string) (ready func(context.Context) error, err error) {
	p, err := s.process(name)
	if err != nil {
		return nil, err
	}
	p.Signal(syscall.SIGTERM) // false if it has ended
	return func(ctx context.Context) error { return s.AwaitReady(ctx, name, p) }, nil
}

// Program is a program that services of the stack run.
type Program struct {
	Name      string
	Processes []string
}

// Programs returns what the services run, in the order of their start.
func (s *Stack) Programs() (programs []Program) {
	for _, c := range slices.Concat(s.routers, s.workers, s.apis) {
		i := slices.IndexFunc(programs, func(p Program) bool { return p.Name == c.program })
		if i < 0 {
			i = len(programs)
			programs = append(programs, Program{Name: c.program})
		}
		programs[i].Processes = append(programs[i].Processes, c.name)
	}
	return programs
}

// child returns the service of that name, nil if there is none.
func (s *Stack) child(name string) *child {
	for _, c := range slices.Concat(s.apis, s.routers, s.workers) {
		if c.name == name {
			return c
		}
	}
	return nil
}
