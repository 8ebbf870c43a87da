package command

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"example.com/lockstep/pkg/service"
)

// Life bounds how long a command runs. Soft ends with the first of service.StopSignals, or with the end of the parent if
// that is watched: then stop in order. Hard ends with the next signal: then stop at once.
type Life struct {
	Soft, Hard context.Context

	signals  chan os.Signal
	stopping chan struct{}
	watchers sync.WaitGroup
}

const askForParent = 100 * time.Millisecond

// NewLife watches until Stop is called. A command that Task runs also watches its parent: Task forwards no SIGTERM, and may
// end first (`go tool` lets a second Ctrl-C end it).
func NewLife(withParent bool) *Life {
	l := &Life{signals: make(chan os.Signal, 8), stopping: make(chan struct{})}
	soft, endSoft := context.WithCancelCause(context.Background())
	hard, endHard := context.WithCancelCause(context.Background())
	l.Soft, l.Hard = soft, hard
	// Without this, a closed terminal or pipe would end the process at its next line of output, before it has stopped its
	// children. SIGPIPE is caught and not ignored because children inherit ignored signals.
	signal.Notify(l.signals, append(service.StopSignals(), syscall.SIGPIPE)...)
	l.watchers.Go(func() { l.watchSignals(endSoft, endHard) })
	if withParent {
		parent := os.Getppid()
		l.watchers.Go(func() { l.watchParent(parent, endSoft) })
	}
	return l
}

// Stop ends the watching.
func (l *Life) Stop() {
	signal.Stop(l.signals)
	close(l.stopping)
	l.watchers.Wait()
}

func (l *Life) watchSignals(endSoft, endHard context.CancelCauseFunc) {
	seen := 0
	for {
		select {
		case sig := <-l.signals:
			if sig == syscall.SIGPIPE {
				continue
			}
			seen++
			endSoft(fmt.Errorf("got %s", signalName(sig)))
			if seen > 1 {
				endHard(fmt.Errorf("got %s once more", signalName(sig)))
			}
		case <-l.stopping:
			return
		}
	}
}

func signalName(sig os.Signal) string {
	switch sig {
	case syscall.SIGTERM:
		return "SIGTERM"
	case syscall.SIGHUP:
		return "SIGHUP"
	}
	return "Ctrl-C"
}

func (l *Life) watchParent(parent int, endSoft context.CancelCauseFunc) {
	tick := time.NewTicker(askForParent)
	defer tick.Stop()
	for os.Getppid() == parent {
		select {
		case <-tick.C:
		case <-l.stopping:
			return
		}
	}
	endSoft(fmt.Errorf("the parent process %d has ended", parent))
}
