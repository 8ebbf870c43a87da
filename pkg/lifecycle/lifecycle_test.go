package lifecycle_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var background = context.Background()

func nothing(context.Context) error { return nil }

// loop is a part of one goroutine, which needs a while to start and to stop.
type loop struct {
	*lifecycle.Once
	quit chan struct{}
	done sync.WaitGroup
}

func newLoop() *loop {
	l := &loop{quit: make(chan struct{})}
	l.Once = lifecycle.NewOnce("loop", l.start, l.stop)
	return l
}

func (l *loop) start(ctx context.Context) error {
	l.done.Go(func() { <-l.quit })
	select {
	case <-time.After(time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *loop) stop(context.Context) error {
	close(l.quit)
	l.done.Wait()
	return nil
}

func TestStartStopStress(t *testing.T) {
	testkit.StressStartStop(t, func() lifecycle.Part { return newLoop() })
}

func TestErrorsSayWhose(t *testing.T) {
	broken := errors.New("broken")
	o := lifecycle.NewOnce("loop", func(context.Context) error { return broken }, nothing)
	require.Equal(t, broken, o.Start(background))
	err := o.Start(background)
	require.ErrorIs(t, err, lifecycle.ErrOnce)
	require.EqualError(t, err, "loop was already started or stopped")
}

func TestStopsReturnTheSameAtTheEnd(t *testing.T) {
	entered, finish, broken := make(chan struct{}), make(chan struct{}), errors.New("broken")
	ended := false
	o := lifecycle.NewOnce("part", nothing, func(context.Context) error {
		close(entered)
		<-finish
		ended = true
		return broken
	})
	require.NoError(t, o.Start(background))
	var stops sync.WaitGroup
	for range 4 {
		stops.Go(func() {
			if err := o.Stop(background); !errors.Is(err, broken) || !ended {
				t.Errorf("Stop returned %v; the end had come: %v", err, ended)
			}
		})
	}
	<-entered
	close(finish)
	stops.Wait()
}

func TestAnyStopsContextMakesAllGoHard(t *testing.T) {
	entered := make(chan struct{})
	o := lifecycle.NewOnce("part", nothing, func(ctx context.Context) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	})
	require.NoError(t, o.Start(background))
	soft := make(chan error)
	go func() { soft <- o.Stop(background) }()
	<-entered
	ctx, cancel := context.WithCancel(background)
	cancel()
	require.ErrorIs(t, o.Stop(ctx), context.Canceled)
	require.ErrorIs(t, <-soft, context.Canceled)
}

func TestStopEndsAStartUnderWay(t *testing.T) {
	entered := make(chan struct{})
	o := lifecycle.NewOnce("part", func(ctx context.Context) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}, nothing)
	started := make(chan error)
	go func() { started <- o.Start(background) }()
	<-entered
	require.NoError(t, o.Stop(background))
	require.ErrorIs(t, <-started, context.Canceled)
}

func TestFailedStartIsCleanedUpHard(t *testing.T) {
	var ctxAtStop error
	stops := 0
	o := lifecycle.NewOnce("part", func(context.Context) error { return errors.New("broken") }, func(ctx context.Context) error {
		stops++
		ctxAtStop = ctx.Err()
		return ctx.Err()
	})
	require.Error(t, o.Start(background))
	require.ErrorIs(t, ctxAtStop, context.Canceled)
	require.NoError(t, o.Stop(background), "Start has told what went wrong")
	require.Equal(t, 1, stops)
}

// What New has opened is closed by Stop, even without a Start.
func TestStopWithoutAStart(t *testing.T) {
	stops := 0
	o := lifecycle.NewOnce("part", nothing, func(context.Context) error { stops++; return nil })
	require.NoError(t, o.Stop(background))
	require.NoError(t, o.Stop(background))
	require.ErrorIs(t, o.Start(background), lifecycle.ErrOnce)
	require.Equal(t, 1, stops)
}

// Whoever stops sees in the error why it went hard: that its time was over, and not only that something ended it.
func TestHardStopSaysWhy(t *testing.T) {
	for range 2000 {
		o := lifecycle.NewOnce("part", nothing, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		ctx, cancel := context.WithTimeout(background, 50*time.Microsecond)
		require.ErrorIs(t, o.Stop(ctx), context.DeadlineExceeded)
		cancel()
	}
}
