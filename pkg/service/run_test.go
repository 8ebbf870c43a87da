package service

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

// diary notes what the parts of one test do, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

// fake is a part whose every step a test may decide. Each nil one succeeds.
type fake struct {
	name   string
	diary  *diary
	start  func(context.Context) error
	stop   func(context.Context) error
	failed chan error
}

func (f *fake) Start(ctx context.Context) error {
	f.diary.note("start " + f.name)
	if f.start != nil {
		return f.start(ctx)
	}
	return nil
}

func (f *fake) Stop(ctx context.Context) error {
	f.diary.note("stop " + f.name)
	if f.stop != nil {
		return f.stop(ctx)
	}
	return nil
}

func (f *fake) Failed() <-chan error { return f.failed }

// untilAborted ends only with its context.
func untilAborted(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// supervised runs parts with signals that the test sends, and returns Run's result.
func supervised(ctx context.Context, book *testkit.Log, timeout time.Duration, parts ...lifecycle.Part) (chan<- os.Signal, <-chan error) {
	signals := make(chan os.Signal, 2)
	s := &supervisor{signals: signals, stopTimeout: timeout, log: book.Logger(), parts: parts}
	result := make(chan error, 1)
	go func() { result <- s.run(ctx) }()
	return signals, result
}

func TestRunStopsInReverseOrder(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		var d diary
		var book testkit.Log
		signals, result := supervised(t.Context(), &book, time.Minute, &fake{name: "a", diary: &d}, &fake{name: "b", diary: &d})
		eventually(t, func() bool { return strings.Contains(book.String(), "msg=started") })
		signals <- sig
		require.NoError(t, <-result)
		require.Equal(t, []string{"start a", "start b", "stop b", "stop a"}, d.lines)
		require.Contains(t, book.String(), "msg=stopping reason="+sig.String())
		require.Contains(t, book.String(), "msg=stopped")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	var d diary
	var book testkit.Log
	ctx, cancel := context.WithCancel(t.Context())
	_, result := supervised(ctx, &book, time.Minute, &fake{name: "a", diary: &d})
	eventually(t, func() bool { return strings.Contains(book.String(), "msg=started") })
	cancel()
	require.NoError(t, <-result)
	require.Equal(t, []string{"start a", "stop a"}, d.lines)
}

func TestRunReportsAPartThatFails(t *testing.T) {
	var d diary
	var book testkit.Log
	broken := &fake{name: "b", diary: &d, failed: make(chan error, 1)}
	broken.failed <- errors.New("lost it")
	_, result := supervised(t.Context(), &book, time.Minute, &fake{name: "a", diary: &d}, broken, &fake{name: "c", diary: &d})
	require.EqualError(t, <-result, "failed: lost it")
	require.Equal(t, []string{"start a", "start b", "start c", "stop c", "stop b", "stop a"}, d.lines)
}

func TestRunReportsAFailedStart(t *testing.T) {
	var d diary
	var book testkit.Log
	no := func(context.Context) error { return errors.New("no") }
	_, result := supervised(t.Context(), &book, time.Minute,
		&fake{name: "a", diary: &d, stop: no}, &fake{name: "b", diary: &d, start: no}, &fake{name: "c", diary: &d})
	require.EqualError(t, <-result, "cannot start: no\nstop: no")
	require.Equal(t, []string{"start a", "start b", "stop b", "stop a"}, d.lines)
}

func TestSignalDuringStart(t *testing.T) {
	var d diary
	var book testkit.Log
	starting := make(chan struct{})
	start := func(ctx context.Context) error {
		close(starting)
		return untilAborted(ctx)
	}
	signals, result := supervised(t.Context(), &book, time.Minute,
		&fake{name: "a", diary: &d, start: start}, &fake{name: "b", diary: &d})
	<-starting
	signals <- syscall.SIGTERM
	require.NoError(t, <-result)
	require.Equal(t, []string{"start a", "stop a"}, d.lines)
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Run("while it stops", func(t *testing.T) {
		var d diary
		var book testkit.Log
		stopping := make(chan struct{})
		signals, result := supervised(t.Context(), &book, time.Hour, &fake{name: "a", diary: &d, stop: func(ctx context.Context) error {
			close(stopping)
			return untilAborted(ctx)
		}})
		eventually(t, func() bool { return strings.Contains(book.String(), "msg=started") })
		signals <- syscall.SIGTERM
		<-stopping
		signals <- syscall.SIGTERM
		require.ErrorIs(t, <-result, ErrSecondSignal)
	})
	t.Run("while it starts", func(t *testing.T) {
		var d diary
		var book testkit.Log
		starting, release := make(chan struct{}), make(chan struct{})
		defer close(release)
		signals, result := supervised(t.Context(), &book, time.Hour, &fake{name: "a", diary: &d, start: func(context.Context) error {
			close(starting)
			<-release
			return nil
		}})
		<-starting
		signals <- syscall.SIGTERM
		signals <- syscall.SIGTERM
		require.ErrorIs(t, <-result, ErrSecondSignal)
	})
}

func TestSoftLimitAborts(t *testing.T) {
	var d diary
	var book testkit.Log
	signals, result := supervised(t.Context(), &book, 20*time.Millisecond,
		&fake{name: "a", diary: &d}, &fake{name: "b", diary: &d, stop: untilAborted})
	eventually(t, func() bool { return strings.Contains(book.String(), "msg=started") })
	signals <- syscall.SIGTERM
	require.ErrorIs(t, <-result, context.DeadlineExceeded)
	require.Equal(t, "stop a", d.lines[len(d.lines)-1], "the others are stopped all the same")
}

func TestReadyzFollowsTheService(t *testing.T) {
	var d diary
	var book testkit.Log
	a := newAdmin(t)
	starting, start := make(chan struct{}), make(chan struct{})
	stopping, stop := make(chan struct{}), make(chan struct{})
	part := &fake{name: "p", diary: &d,
		start: func(context.Context) error { close(starting); <-start; return nil },
		stop:  func(context.Context) error { close(stopping); <-stop; return nil },
	}
	signals, result := supervised(t.Context(), &book, time.Minute, a, part)

	<-starting
	code, r := ready(t, a)
	require.Equal(t, []any{503, "starting"}, []any{code, r.Checks["service"]})

	close(start)
	eventually(t, func() bool { return strings.Contains(book.String(), "msg=started") })
	code, r = ready(t, a)
	require.Equal(t, []any{200, "ok"}, []any{code, r.Checks["service"]})

	signals <- syscall.SIGTERM
	<-stopping
	code, r = ready(t, a)
	require.Equal(t, []any{503, "stopping"}, []any{code, r.Checks["service"]})
	close(stop)
	require.NoError(t, <-result)
}

// service is the child process of TestProcess: its part never ends its soft stop.
type service struct{ Config }

func (s *service) Run(ctx context.Context) error {
	log := NewLogger("child", s.Config, os.Stderr)
	admin, err := NewAdmin(s.Config, log)
	if err != nil {
		return err
	}
	stop := func(ctx context.Context) error {
		log.Info("draining")
		if s.LogLevel == "debug" {
			return nil
		}
		return untilAborted(ctx)
	}
	return Run(ctx, s.Config, log, admin, &fake{name: "part", diary: &diary{}, stop: stop})
}

// TestProcess sends real signals to a real process.
func TestProcess(t *testing.T) {
	const child = "TEST_SERVICE_CHILD"
	if args := os.Getenv(child); args != "" {
		os.Exit(Main("child", "", &service{}, strings.Fields(args)))
	}
	ignoring := []string{"/bin/sh", "-c", `trap "" HUP INT; exec "$@"`, "sh"}
	for name, c := range map[string]struct {
		args    string
		under   []string                    // a command that runs the child; signals are not ignored without it
		signals map[string][]syscall.Signal // sent when the log has this
		code    int
		reason  string // of the stop, in the log
		last    string
	}{
		"drains": {
			args:    "--log-level=debug",
			signals: map[string][]syscall.Signal{"started": {syscall.SIGTERM}},
			reason:  "terminated",
			last:    "stopped",
		},
		"drains at hangup": {
			args:    "--log-level=debug",
			signals: map[string][]syscall.Signal{"started": {syscall.SIGHUP}},
			reason:  "hangup",
			last:    "stopped",
		},
		"goes on at a hangup and an interrupt that were ignored": {
			args:    "--log-level=debug",
			under:   ignoring,
			signals: map[string][]syscall.Signal{"started": {syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM}},
			reason:  "terminated",
			last:    "stopped",
		},
		"second signal": {
			args:    "--stop-timeout=1h",
			signals: map[string][]syscall.Signal{"started": {syscall.SIGTERM}, "draining": {syscall.SIGINT}},
			code:    ExitFailed,
			reason:  "terminated",
			last:    "child: ended at once by a second signal",
		},
	} {
		t.Run(name, func(t *testing.T) {
			// A signal caught here is not ignored by a child, though it may have been when this test was started.
			caught := make(chan os.Signal, 1)
			signal.Notify(caught, syscall.SIGHUP, syscall.SIGINT)
			defer signal.Stop(caught)
			command := append(c.under, os.Args[0], "-test.run=^TestProcess$")
			cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
			cmd.Env = append(os.Environ(), child+"="+c.args)
			out, err := cmd.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			last, said := "", ""
			for lines := bufio.NewScanner(out); lines.Scan(); {
				last = lines.Text()
				said += last + "\n"
				for text, signals := range c.signals {
					if strings.Contains(last, `"msg":"`+text+`"`) {
						for _, sig := range signals {
							require.NoError(t, cmd.Process.Signal(sig))
						}
					}
				}
			}
			_ = cmd.Wait()
			require.Equal(t, c.code, cmd.ProcessState.ExitCode(), last)
			require.Contains(t, said, `"reason":"`+c.reason+`"`)
			require.Contains(t, last, c.last)
		})
	}
}
