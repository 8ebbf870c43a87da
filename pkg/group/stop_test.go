package group

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

func TestStartStopStress(t *testing.T) {
	c := newCluster(t, 3)
	nc := c.nats.Connect(t)
	testkit.StressStartStop(t, func() lifecycle.Part {
		return c.memberOn(nc)
	})
	c.board.requireNeverDoubled(t)
}

func TestStopBeforeStart(t *testing.T) {
	c := newCluster(t, 1)
	m := c.member()
	require.NoError(t, m.Stop(background))
	require.NoError(t, m.Stop(background))
	require.Error(t, m.Start(background), "it is stopped for good")
	require.Empty(t, c.value(0))
}

func TestStopTwiceAndAtOnce(t *testing.T) {
	c := newCluster(t, 4)
	m := c.start(1)[0]
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := m.Stop(background); err != nil {
				t.Errorf("stop: %v", err)
			}
			if n := c.board.of(m.ID()); n != 0 {
				t.Errorf("Stop has returned, and %d shards are owned", n)
			}
		})
	}
	wg.Wait()
	require.NoError(t, m.Stop(background))
}

// Stop may come at any moment of Start, and whatever it meets, nothing is left behind: no lease, no entry, no goroutine.
func TestStartAndStopRace(t *testing.T) {
	c := newCluster(t, 3)
	for i := range 30 {
		m := c.member()
		began := make(chan struct{})
		go func() {
			defer close(began)
			_ = m.Start(background)
		}()
		for m.nc.Stats().OutMsgs < uint64(i) && !closed(began) { // another moment each time
		}
		require.NoError(t, m.Stop(background))
		<-began
	}
	last := c.start(1)[0]
	require.Equal(t, []string{last.ID()}, last.Members(), "those before have left nothing")
	c.board.requireNeverDoubled(t)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		runtime.Gosched()
		return false
	}
}

func TestStartThatFails(t *testing.T) {
	c := newCluster(t, 1)
	m := c.member()
	ctx, cancel := context.WithCancel(background)
	cancel()
	require.Error(t, m.Start(ctx))
	require.NoError(t, m.Stop(background))
}

// An Own that does not return when it is told to is cut short when Stop's time is over.
func TestHardStop(t *testing.T) {
	c := newCluster(t, 1)
	owning := make(chan struct{})
	m := c.member(func(cfg *Config) {
		cfg.Own = func(ctx context.Context, _ Ownership) {
			close(owning)
			<-ctx.Done()
		}
	})
	require.NoError(t, m.Start(background))
	<-owning
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, m.Stop(ctx), context.DeadlineExceeded)
	require.Empty(t, c.value(0), "released all the same")
}

func TestStopWithoutAConnection(t *testing.T) {
	c := newCluster(t, 2)
	m := c.start(1)[0]
	m.nc.Close()
	require.NoError(t, m.Stop(background))
	require.Zero(t, c.board.of(m.ID()))
	require.Empty(t, c.value(0))
}
