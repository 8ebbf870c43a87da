package testkit

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/lifecycle"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const (
	raceRounds  = 40 // of Start against Stop
	raceAtLeast = 5
	raceTime    = 500 * time.Millisecond // after which no new round begins
	// endTime is how long what has been told to end may take to be gone: a library's goroutine that looks now and then
	// whether it is needed, a server's side of a connection.
	endTime = 5 * time.Second
)

// StressStartStop holds a part against the contract of lifecycle.Part: it starts and stops parts in each order, twice and
// at once, and at moments of one another that differ from round to round. After each of these no goroutine may be left of
// them. Each call of fresh makes a part that may do real work; what they share must be running before.
func StressStartStop(t *testing.T, fresh func() lifecycle.Part) {
	t.Helper()
	s := &startStop{fresh: fresh}
	warm := fresh()
	require.NoError(t, warm.Start(background), "what parts create once, and share")
	require.NoError(t, warm.Stop(background))
	for _, c := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"stop before start", s.stopBeforeStart},
		{"start twice", s.startTwice},
		{"start after stop", s.startAfterStop},
		{"starts at once", s.startsAtOnce},
		{"start with an ended context", s.startEnded},
		{"start outlives its context", s.startOutlivesItsContext},
		{"stop with an ended context", s.stopEnded},
		{"stops at once", s.stopsAtOnce},
		{"start and stop race", s.race},
		{"start and the end of its context race", s.raceContext},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			c.run(t)
			requireNothingLeft(t, before)
		})
	}
}

var background = context.Background()

func ended() context.Context {
	ctx, cancel := context.WithCancel(background)
	cancel()
	return ctx
}

// requireNothingLeft fails if goroutines run that did not run before, but for the NATS server's own.
func requireNothingLeft(t *testing.T, before goleak.Option) {
	t.Helper()
	options := append(natsGoroutines(), before)
	deadline := time.Now().Add(endTime)
	for {
		err := goleak.Find(options...) // tries for some tenths of a second
		if err == nil {
			return
		}
		require.True(t, time.Now().Before(deadline), "goroutines are left: %v", err)
	}
}

type startStop struct{ fresh func() lifecycle.Part }

func (s *startStop) stopBeforeStart(t *testing.T) {
	p := s.fresh()
	require.NoError(t, p.Stop(background))
	require.NoError(t, p.Stop(background))
	require.Error(t, p.Start(background), "it is stopped for good")
	require.NoError(t, p.Stop(background))
	_ = s.fresh().Stop(ended())
}

func (s *startStop) startTwice(t *testing.T) {
	p := s.fresh()
	require.NoError(t, p.Start(background))
	require.Error(t, p.Start(background))
	require.NoError(t, p.Stop(background))
}

func (s *startStop) startAfterStop(t *testing.T) {
	p := s.fresh()
	require.NoError(t, p.Start(background))
	require.NoError(t, p.Stop(background))
	require.Error(t, p.Start(background))
	require.NoError(t, p.Stop(background))
}

func (s *startStop) startsAtOnce(t *testing.T) {
	p := s.fresh()
	results := make(chan error)
	const starts = 4
	for range starts {
		go func() { results <- p.Start(background) }()
	}
	started := 0
	for range starts {
		if <-results == nil {
			started++
		}
	}
	require.Equal(t, 1, started, "Starts that succeeded")
	require.NoError(t, p.Stop(background))
}

func (s *startStop) startEnded(t *testing.T) {
	left := s.fresh()
	before := goleak.IgnoreCurrent()
	if left.Start(ended()) != nil {
		requireNothingLeft(t, before) // although nobody calls Stop
	}
	require.NoError(t, left.Stop(background))
	require.Error(t, left.Start(background))
}

func (s *startStop) startOutlivesItsContext(t *testing.T) {
	p := s.fresh()
	ctx, cancel := context.WithCancel(background)
	require.NoError(t, p.Start(ctx))
	cancel()
	require.NoError(t, p.Stop(background))
}

func (s *startStop) stopEnded(t *testing.T) {
	p := s.fresh()
	require.NoError(t, p.Start(background))
	_ = p.Stop(ended()) // whether it had something to give up is its own affair
	_ = p.Stop(background)
}

func (s *startStop) stopsAtOnce(t *testing.T) {
	p := s.fresh()
	require.NoError(t, p.Start(background))
	var stops sync.WaitGroup
	for i := range 6 {
		stops.Go(func() {
			if i == 5 {
				_ = p.Stop(ended())
			} else {
				_ = p.Stop(background)
			}
		})
	}
	stops.Wait()
}

// race lets Stop come at a random moment of Start.
func (s *startStop) race(t *testing.T) {
	s.rounds(t, func(p lifecycle.Part, meanwhile func()) bool {
		result := make(chan error)
		go func() {
			if rand.IntN(4) == 0 { // else the first Stop would never be before Start
				runtime.Gosched()
			}
			result <- p.Start(background)
		}()
		meanwhile()
		var stops sync.WaitGroup
		for range 2 {
			stops.Go(func() { _ = p.Stop(background) })
		}
		stops.Wait()
		return <-result == nil
	})
}

// raceContext lets the context of Start end at a random moment of it.
func (s *startStop) raceContext(t *testing.T) {
	s.rounds(t, func(p lifecycle.Part, meanwhile func()) bool {
		ctx, cancel := context.WithCancel(background)
		result := make(chan error)
		go func() { result <- p.Start(ctx) }()
		meanwhile()
		cancel()
		err := <-result
		require.NoError(t, p.Stop(background))
		return err == nil
	})
}

// rounds runs rounds with ever new parts. What a round calls in between yields the processor some times, from not at all
// to twice as often as an undisturbed Start lasts.
func (s *startStop) rounds(t *testing.T, round func(p lifecycle.Part, meanwhile func()) (started bool)) {
	alone := min(s.yields(t), s.yields(t), s.yields(t)) // or one that was slow would let the others all have started
	began, rounds, started := time.Now(), 0, 0
	for ; rounds < raceRounds && (rounds < raceAtLeast || time.Since(began) < raceTime); rounds++ {
		yields := rand.IntN(2*alone + 1)
		if round(s.fresh(), func() {
			for range yields {
				runtime.Gosched()
			}
		}) {
			started++
		}
	}
	t.Logf("%d of %d had started, in up to %d yields", started, rounds, 2*alone)
}

// yields counts how often one can yield the processor while a part starts.
func (s *startStop) yields(t *testing.T) (n int) {
	p := s.fresh()
	result := make(chan error, 1)
	go func() { result <- p.Start(background) }()
	for len(result) == 0 {
		runtime.Gosched()
		n++
	}
	require.NoError(t, <-result)
	require.NoError(t, p.Stop(background))
	return n
}
