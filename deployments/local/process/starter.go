// Package process runs child processes that never outlive this one and keeps them running.
//
//   - Each child leads a process group of its own, so a Ctrl-C at the terminal reaches this process alone.
//   - On Linux the kernel kills a child when this process ends, however it ends. Other systems lack that;
//     there a kill -9 of this process leaves its children running.
package process

import (
	"errors"
	"os/exec"
	"runtime"
	"sync"
)

var errClosed = errors.New("starter closed")

// Starter starts processes from one OS thread that lives as long as the Starter. Linux ties the parent-death signal to
// the thread that forked and not to the process: a child forked from any other thread would die with that thread.
type Starter struct {
	requests chan request
	closing  chan struct{}
	done     chan struct{}
	once     sync.Once
}

type request struct {
	cmd    *exec.Cmd
	answer chan error
}

// NewStarter returns a Starter; Close it after its last process has ended.
func NewStarter() *Starter {
	s := &Starter{requests: make(chan request), closing: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *Starter) run() {
	defer close(s.done)
	// Never unlocked: the thread ends with this goroutine.
	runtime.LockOSThread()
	for {
		select {
		case r := <-s.requests:
			r.answer <- r.cmd.Start()
		case <-s.closing:
			return
		}
	}
}

func (s *Starter) start(cmd *exec.Cmd) error {
	r := request{cmd: cmd, answer: make(chan error, 1)}
	select {
	case s.requests <- r:
		return <-r.answer
	case <-s.closing:
		return errClosed
	}
}

// Close ends the thread. On Linux that kills processes that still run.
func (s *Starter) Close() {
	s.once.Do(func() { close(s.closing) })
	<-s.done
}
