package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newStarter(t *testing.T) *Starter {
	s := NewStarter()
	t.Cleanup(s.Close)
	return s
}

func shell(t *testing.T, script string) Spec {
	return Spec{Name: "child-1", Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "child.log")}
}

func TestOutcomeTellsTheLastLineOfThisRun(t *testing.T) {
	s := newStarter(t)
	spec := shell(t, `echo one; echo "two  "; echo; exit 3`)
	p, err := s.Start(spec)
	require.NoError(t, err)
	require.Equal(t, "exit status 3, last line: two", p.Outcome())
	require.Equal(t, 3, p.ExitCode())

	silent := spec
	silent.Args = []string{"-c", "kill -9 $$"}
	p, err = s.Start(silent)
	require.NoError(t, err)
	require.Equal(t, "signal: killed", p.Outcome(), "not the line of the run before")

	long := shell(t, `i=0; while [ $i -lt 2000 ]; do printf 0123456789; i=$((i+1)); done`)
	p, err = s.Start(long)
	require.NoError(t, err)
	require.Len(t, strings.TrimPrefix(p.Outcome(), "exit status 0, last line: "), maxLine+len("..."))
	log, err := os.ReadFile(spec.Log)
	require.NoError(t, err)
	require.Contains(t, string(log), "one\n", "the log is appended to")
}

func TestStartErrors(t *testing.T) {
	s := newStarter(t)
	spec := shell(t, "")
	spec.Path = "/nowhere/router"
	_, err := s.Start(spec)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "start child-1")

	spec.Log = "/nowhere/child.log"
	_, err = s.Start(spec)
	require.ErrorContains(t, err, "/nowhere/child.log")

	s.Close()
	_, err = s.Start(shell(t, ""))
	require.ErrorIs(t, err, errClosed)
}

// recorder collects the calls of a Keeper.
type recorder struct {
	spec    Spec
	started chan int
	ended   chan string
}

func record(spec Spec) (*recorder, Events) {
	r := &recorder{spec: spec, started: make(chan int, 100), ended: make(chan string, 100)}
	return r, Events{
		Spec:    func() Spec { return r.spec },
		Started: func(p *Process) { r.started <- p.PID() },
		Ended:   func(_ *Process, why string, _ time.Duration) { r.ended <- why },
	}
}

func TestKeeperStartsAgain(t *testing.T) {
	r, events := record(shell(t, "echo up; exec sleep 1000"))
	k := NewKeeper(newStarter(t), events)
	require.NoError(t, k.Start(context.Background()))
	first := <-r.started
	require.NoError(t, syscall.Kill(first, syscall.SIGKILL))
	require.Contains(t, <-r.ended, "signal: killed")
	require.NotEqual(t, first, <-r.started)
	require.NoError(t, k.Stop(context.Background()))
	require.NoError(t, k.Stop(context.Background()), "twice is fine")
	require.Empty(t, r.ended, "a stop is not reported")
	require.ErrorContains(t, k.Start(context.Background()), "stopped")
}

func TestKeeperHolds(t *testing.T) {
	r, events := record(shell(t, "exec sleep 1000"))
	k := NewKeeper(newStarter(t), events)
	require.NoError(t, k.Start(context.Background()))
	release, other := k.Hold(), k.Hold()
	require.NoError(t, syscall.Kill(<-r.started, syscall.SIGKILL))
	<-r.ended
	release()
	release()
	select {
	case <-r.started:
		require.FailNow(t, "started while it was held")
	case <-time.After(2 * firstWait):
	}
	other()
	require.NoError(t, syscall.Kill(<-r.started, syscall.SIGKILL))

	k.Hold()
	<-r.ended
	require.NoError(t, k.Stop(context.Background()), "a hold does not keep it from stopping")
}

func TestOutputIsCopied(t *testing.T) {
	spec := shell(t, "echo one; echo two >&2")
	var seen strings.Builder
	spec.Out = &seen
	p, err := newStarter(t).Start(spec)
	require.NoError(t, err)
	require.Contains(t, p.Outcome(), "last line: two")
	require.Equal(t, "one\ntwo\n", seen.String())
}

func TestKeeperStopsWhileItWaits(t *testing.T) {
	r, events := record(shell(t, "exit 1"))
	k := NewKeeper(newStarter(t), events)
	require.NoError(t, k.Start(context.Background()))
	<-r.ended
	<-r.ended
	require.NoError(t, k.Stop(context.Background()))
}

func TestKeeperKillsTheGroupOfADeafChild(t *testing.T) {
	// The child's own child holds the fifo open: reading it to its end shows that both are gone.
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	r, events := record(shell(t, `trap "" TERM; exec 3>"`+fifo+`"; echo deaf >&3; sleep 1000 & while :; do wait; done`))
	k := NewKeeper(newStarter(t), events)
	require.NoError(t, k.Start(context.Background()))
	<-r.started
	out, err := os.Open(fifo)
	require.NoError(t, err)
	defer out.Close()
	_, err = out.Read(make([]byte, 5))
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, k.Stop(ctx), ErrKilled)
	_, err = out.Read(make([]byte, 1))
	require.Error(t, err, "end of file")
}

func TestKeeperStartAndStopRace(t *testing.T) {
	starter := newStarter(t)
	_, events := record(shell(t, "exec sleep 1000"))
	require.NoError(t, NewKeeper(starter, events).Stop(context.Background()), "before Start")
	for range 20 {
		_, events := record(shell(t, "exec sleep 1000"))
		k := NewKeeper(starter, events)
		var all sync.WaitGroup
		var startErr error
		all.Go(func() { startErr = k.Start(context.Background()) })
		all.Go(func() { k.Stop(context.Background()) })
		all.Go(func() { k.Stop(context.Background()) })
		all.Wait()
		require.NoError(t, k.Stop(context.Background()))
		if startErr != nil {
			require.ErrorContains(t, startErr, "stopped")
		}
	}
}

func TestKeeperCannotStart(t *testing.T) {
	r, events := record(shell(t, ""))
	r.spec.Path = "/nowhere"
	k := NewKeeper(newStarter(t), events)
	require.True(t, errors.Is(k.Start(context.Background()), os.ErrNotExist))
	require.NoError(t, k.Stop(context.Background()))
}

// A process ends by itself if it is not told to end, or if it ends in another way than told.
func TestByItself(t *testing.T) {
	const obeys, deaf = `trap "exit 1" TERM; echo up; while :; do sleep 0.01; done`, `trap "" TERM; echo up; while :; do sleep 0.01; done`
	for name, test := range map[string]struct {
		script   string
		told     []syscall.Signal
		byItself bool
	}{
		"exits":                  {`echo up; exit 0`, nil, true},
		"is killed by another":   {`echo up; kill -9 $$`, nil, true},
		"is killed":              {deaf, []syscall.Signal{syscall.SIGKILL}, false},
		"is killed in the end":   {deaf, []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}, false},
		"ends as it is told":     {obeys, []syscall.Signal{syscall.SIGTERM}, false},
		"panics when it is told": {`trap "exit 2" TERM; echo up; while :; do sleep 0.01; done`, []syscall.Signal{syscall.SIGTERM}, true},
		"exits after a signal":   {`echo up; sleep 0.1; exit 0`, []syscall.Signal{syscall.SIGCONT}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := newStarter(t).Start(shell(t, test.script))
			require.NoError(t, err)
			require.Eventually(t, func() bool { return p.Logged("up") }, 10*time.Second, time.Millisecond)
			for _, sig := range test.told {
				p.Signal(sig)
			}
			require.Equal(t, test.byItself, p.ByItself(), p.Outcome())
			require.False(t, p.Signal(syscall.SIGKILL), "it is gone")
			require.False(t, p.Logged("down"))
		})
	}
}
