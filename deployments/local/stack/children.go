package stack

import (
	"fmt"
	"slices"
	"time"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/pkg/stackfile"
)

// maxEarlyEnds is how often a child may end before the stack is ready. It is more than one because another program may
// take a port after we found it free and before the child listens on it.
const maxEarlyEnds = 3

// childStarted records a process that was started. It takes the place of the one it replaces.
func (s *Stack) childStarted(p stackfile.Process, running *process.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[p.Name] = running
	place := slices.IndexFunc(s.file.Processes, func(known stackfile.Process) bool { return known.Name == p.Name })
	if place < 0 {
		s.file.Processes = append(s.file.Processes, p)
	} else {
		s.file.Processes[place] = p
	}
	if !s.ready {
		return
	}
	if err := s.dir.Publish(s.file); err != nil {
		s.say("cannot rewrite stack.json: %v", err)
	}
	s.say("%s runs again (pid %d)", p.Name, p.PID)
}

// Crashes lists the services that ended without being told to, and how. A service that refused to start is not among them.
func (s *Stack) Crashes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.crashes)
}

func (s *Stack) childCrashed(how string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crashes = append(s.crashes, how)
}

// childEnded reports a child that ended by itself. While the stack starts, a child that ends too often makes Start fail.
func (s *Stack) childEnded(name, why string, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends[name]++
	switch {
	case s.ready:
		s.say("%s ended (%s); starting it again in %s", name, why, wait.Round(time.Millisecond))
	case s.ends[name] >= maxEarlyEnds:
		select {
		case s.failed <- fmt.Errorf("%s does not start: %s", name, why):
		default: // a reason is there already
		}
	}
}
