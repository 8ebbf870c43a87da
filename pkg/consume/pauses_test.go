package consume

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"github.com/stretchr/testify/require"
)

const long = query.MaxPause // which no test outlasts

// pause asks all workers to pause, or with 0 to resume, and waits until so many have answered.
func (r *rig) pause(d time.Duration, workers int) []query.Worker {
	r.t.Helper()
	var answers []query.Worker
	eventually(r.t, func() bool {
		var err error
		answers, err = query.NewClient(r.nats.Conn, "app").Pause(background, d, 200*time.Millisecond)
		return err == nil && len(answers) == workers
	}, "not all have heard")
	for _, w := range answers {
		require.Equal(r.t, d > 0, w.PausedMS > 0)
		require.LessOrEqual(r.t, w.PausedMS, d.Milliseconds())
	}
	return answers
}

func (r *rig) positions() []uint64 {
	shards, err := r.store().Shards(background, r.shards)
	require.NoError(r.t, err)
	var out []uint64
	for _, s := range shards {
		out = append(out, s.Position.Seq)
	}
	return out
}

// looks counts how often owners check their shards' versions.
type looks struct {
	store.Store
	n *atomic.Int64
}

func (l looks) Verify(ctx context.Context, shard int, version store.Version) error {
	l.n.Add(1)
	return l.Store.Verify(ctx, shard, version)
}

func counting(r *rig, n *atomic.Int64) func(*Config) {
	return func(c *Config) {
		c.Store = func(id string) store.Store { return looks{redisstore.New(r.rdb, "app", id), n} }
	}
}

// unmoved waits until owners have looked at the store many times, and sees that nothing was committed.
func (r *rig) unmoved(before []uint64, n *atomic.Int64) {
	r.t.Helper()
	enough := n.Load() + int64(10*r.shards)
	eventually(r.t, func() bool { return n.Load() >= enough }, "owners do not look at the store")
	require.Equal(r.t, before, r.positions())
}

// calm starts a worker that gives the message at its position all the time it may need: here a pause is to change nothing,
// and on a busy machine it does not come within the moment that other tests allow.
func (r *rig) calm(change ...func(*Config)) *tester {
	r.t.Helper()
	w := r.worker(change...)
	w.waits.place = defaultWaits.place
	require.NoError(r.t, w.Start(background))
	return w
}

// undisturbed sees that a worker has gone on as if nothing had been.
func (w *tester) undisturbed() {
	w.t.Helper()
	for line := range strings.Lines(w.log.String()) {
		if !strings.Contains(line, "bucket watch broke") { // a busy machine may hold a heartbeat up
			require.NotContains(w.t, line, "level=WARN")
		}
	}
	require.NotContains(w.t, w.log.String(), "opening the log again")
	require.Zero(w.t, w.metric("events_duplicate_total"))
	require.Zero(w.t, w.metric("stale_total"))
}

func TestPausedWorkersCommitNothing(t *testing.T) {
	r := newRig(t, 4)
	var n atomic.Int64
	workers := []*tester{r.calm(counting(r, &n)), r.calm(counting(r, &n))}
	ready := func() bool { return workers[0].Ready() == nil && workers[1].Ready() == nil }
	r.load(100, 10)
	r.applied()
	eventually(t, ready, "ready")
	var fences []uint64
	for shard := range r.shards {
		fences = append(fences, r.shardFence(shard))
	}

	owned := 0
	for _, w := range r.pause(long, 2) {
		owned += len(w.Shards)
	}
	require.Equal(t, r.shards, owned)
	before := r.positions()
	r.load(4000, 10)
	r.unmoved(before, &n)
	require.True(t, ready(), "a paused worker is ready")
	for _, w := range workers {
		require.Regexp(t, `^all shards of this worker are paused for .* more by request of a client without a name, answered on _INBOX\.`, w.Paused())
		require.Greater(t, w.metric("pause_seconds"), 0.0)
		require.Contains(t, w.log.String(), `by="a client without a name, answered on _INBOX.`)
	}
	for _, w := range workers {
		for _, s := range w.status().Shards {
			require.Equal(t, query.StatePaused, s.State)
		}
	}
	s, err := r.js.Stream(background, r.stream())
	require.NoError(t, err)
	eventually(t, func() bool { info, err := s.Info(background); return err == nil && info.State.Consumers == 0 },
		"the server is asked for nothing that it would forget")

	r.pause(0, 2)
	r.applied()
	for _, w := range workers {
		w.undisturbed()
		require.Equal(t, 1, strings.Count(w.log.String(), "paused by request: shards take no new rounds"))
		require.Equal(t, 1, strings.Count(w.log.String(), "pause ended by request"))
		require.Empty(t, w.Paused())
		require.Zero(t, w.metric("pause_seconds"))
	}
	for shard := range r.shards {
		require.Equal(t, fences[shard], r.shardFence(shard), "nobody has claimed anew")
		owned := strings.Count(workers[0].log.String()+workers[1].log.String(), fmt.Sprintf(`msg="shard owned" shard=%d`, shard))
		require.LessOrEqual(t, owned, 2, "a resumed shard is not owned anew")
	}
	eventually(t, func() bool {
		for _, w := range workers {
			for _, s := range w.status().Shards {
				if s.State != stateRunning || s.Lag != 0 {
					return false
				}
			}
		}
		return ready()
	}, "not running")
}

func TestPauseRunsOutByItself(t *testing.T) {
	r := newRig(t, 2)
	w := r.calm()
	r.load(10, 10)
	r.applied()
	r.pause(time.Second, 1)
	r.load(100, 10)
	r.applied()
	require.Zero(t, w.status().PausedMS)
	require.Equal(t, 1, strings.Count(w.log.String(), "pause ran out"))
	w.undisturbed()
}

func TestRenewedPauseGoesOn(t *testing.T) {
	r := newRig(t, 2)
	var n atomic.Int64
	w := r.calm(counting(r, &n))
	r.load(10, 10)
	r.applied()
	r.pause(time.Second, 1)
	r.pause(long, 1)
	before := r.positions()
	r.load(100, 10)
	eventually(t, func() bool { return w.status().PausedMS < (long - 2*time.Second).Milliseconds() }, "time passes")
	r.unmoved(before, &n)
	require.NotContains(t, w.log.String(), "ran out")
	r.pause(200*time.Millisecond, 1) // cut short
	r.applied()
	w.undisturbed()
}

// A worker that starts during a pause takes what it owns, until it hears of it.
func TestWorkerJoinsDuringAPause(t *testing.T) {
	r := newRig(t, 4)
	var n atomic.Int64
	first := r.calm(counting(r, &n))
	r.load(100, 10)
	r.applied()
	r.pause(long, 1)
	second := r.calm(counting(r, &n))
	eventually(t, func() bool {
		return first.Ready() == nil && second.Ready() == nil && len(first.status().Shards) == 2 && len(second.status().Shards) == 2
	}, "shards are handed over as ever")
	require.NotZero(t, first.status().PausedMS)
	require.Zero(t, second.status().PausedMS)
	theirs := second.status().Shards
	for _, s := range theirs {
		r.send(s.Shard, fmt.Sprint("more ", s.Shard))
		eventually(t, func() bool { return r.position(s.Shard) > s.Seq }, "the new owner has not heard")
	}
	r.pause(long, 2)
	before := r.positions()
	r.load(100, 10)
	r.unmoved(before, &n)

	began := time.Now()
	require.NoError(t, first.Stop(background))
	require.Less(t, time.Since(began), 2*time.Second)
	eventually(t, func() bool { return second.Ready() == nil && len(second.status().Shards) == 4 }, "not taken over")
	r.unmoved(before, &n)
	r.pause(0, 1)
	r.applied()
	second.undisturbed()
}

func TestStopDuringAPause(t *testing.T) {
	for name, ctx := range map[string]func() (context.Context, context.CancelFunc){
		"soft": func() (context.Context, context.CancelFunc) { return context.WithCancel(background) },
		"hard": func() (context.Context, context.CancelFunc) { return context.WithTimeout(background, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2)
			w := r.calm()
			r.load(10, 10)
			r.applied()
			r.pause(long, 1)
			r.load(100, 10)
			ctx, cancel := ctx()
			defer cancel()
			began := time.Now()
			err := w.Stop(ctx)
			require.Less(t, time.Since(began), 2*time.Second)
			if name == "soft" {
				require.NoError(t, err)
			}
			_, err = query.NewClient(r.nats.Conn, "app").Pause(background, long, time.Second)
			require.ErrorIs(t, err, query.ErrNoWorker)
			r.calm()
			r.applied()
		})
	}
}

// A round under way is committed, and the next one is not begun.
func TestPauseDuringARound(t *testing.T) {
	r := newRig(t, 1)
	var n atomic.Int64
	begun, finish := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w := r.calm(counting(r, &n), handler(collect(func(Event) error {
		once.Do(func() { close(begun); <-finish })
		return nil
	})))
	first := r.send(0, "a", "b")
	<-begun
	r.send(0, "a")
	r.pause(long, 1)
	require.Zero(t, r.position(0))
	close(finish)
	eventually(t, func() bool { return r.position(0) == first }, "the round is not committed")
	r.unmoved([]uint64{first}, &n)
	require.NoError(t, w.Ready())
	r.pause(0, 1)
	r.applied()
	w.undisturbed()
}

// The connection is lost during a pause: the shards are claimed anew, and still paused.
func TestNATSRestartDuringAPause(t *testing.T) {
	r := newRig(t, 2)
	var n atomic.Int64
	w := r.calm(counting(r, &n))
	r.load(20, 10)
	r.applied()
	r.pause(long, 1)
	before, fence := r.positions(), r.shardFence(0)
	r.nats.Stop()
	eventually(t, func() bool { return !w.nc.IsConnected() && !r.nats.Conn.IsConnected() }, "still connected")
	r.nats.Start(t)
	eventually(t, func() bool { return w.nc.IsConnected() && r.nats.Conn.IsConnected() }, "not connected")
	r.load(100, 10)
	eventually(t, func() bool { return w.Ready() == nil && r.shardFence(0) > fence }, "not owned again")
	r.unmoved(before, &n)
	r.pause(0, 1)
	r.applied()
}

// The store forgets everything during a pause: that is noticed at once, and mended when the pause ends.
func TestStoreGoesBackDuringAPause(t *testing.T) {
	r := newRig(t, 2)
	w := r.calm()
	r.load(100, 10)
	r.applied()
	r.pause(long, 1)
	r.load(100, 10)
	require.NoError(t, r.rdb.FlushAll(background).Err())
	eventually(t, func() bool { return w.metric("stale_total") >= 2 && r.shardFence(0) > 0 && r.shardFence(1) > 0 }, "not noticed")
	eventually(t, func() bool { return w.Ready() == nil }, "ready")
	require.Equal(t, []uint64{0, 0}, r.positions())
	r.pause(0, 1)
	r.applied()
}

// Pauses come and go while events do: none is lost or doubled, and order holds.
func TestPausesUnderLoad(t *testing.T) {
	r := newRig(t, 4)
	workers := []*tester{r.calm(), r.calm()}
	eventually(t, func() bool { return workers[0].Ready() == nil && workers[1].Ready() == nil }, "ready")
	done := make(chan struct{})
	var pausing sync.WaitGroup
	pausing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			workers[i%2].pauses.ask(time.Duration(rand.IntN(3))*time.Millisecond, "test")
			for range rand.IntN(20) { // another moment each time
				_ = r.rdb.Ping(background).Err()
			}
		}
	})
	for range 20 {
		r.load(200, 10)
	}
	close(done)
	pausing.Wait()
	r.applied()
	for _, w := range workers {
		w.undisturbed()
	}
}
