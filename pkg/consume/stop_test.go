package consume

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// contested is a Locker that tells when it has found a shard to be another's.
type contested struct {
	group.Locker
	found chan struct{} // cap 1
}

func (c contested) Try(ctx context.Context, shard int, member string) (group.Lease, error) {
	l, err := c.Locker.Try(ctx, shard, member)
	if errors.Is(err, lease.ErrTaken) {
		select {
		case c.found <- struct{}{}:
		default:
		}
	}
	return l, err
}

func TestSoftStopCommitsTheRound(t *testing.T) {
	r := newRig(t, 1)
	begun, finish := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w := r.start(handler(collect(func(Event) error {
		once.Do(func() { close(begun); <-finish })
		return nil
	})))
	r.send(0, "a")
	<-begun
	found := make(chan struct{}, 1)
	next := r.start(func(c *Config) { c.Locker = contested{c.Locker, found} })
	stopped := make(chan error)
	go func() { stopped <- w.Stop(background) }()
	eventually(t, func() bool { return len(next.group.Members()) == 1 }, "not signed off")
	require.Empty(t, r.state("a"))
	require.Error(t, w.Ready())
	<-found // now it waits to be told
	close(finish)
	require.NoError(t, <-stopped)
	require.Len(t, r.state("a"), 1)
	r.send(0, "b")
	began := time.Now()
	r.applied()
	require.Less(t, time.Since(began), 5*time.Second, "handed over, not run out: that takes 7 s at least")
	require.Empty(t, w.status().Shards)
}

func TestHardStopCancelsAHandlerThatHangs(t *testing.T) {
	r := newRig(t, 1)
	hanging := make(chan struct{})
	w := r.start(handler(Typed(func(ctx context.Context, _ *ids, _ Event) error {
		close(hanging)
		<-ctx.Done()
		return ctx.Err()
	})))
	r.send(0, "a")
	<-hanging
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, w.Stop(ctx), context.DeadlineExceeded)
	require.Zero(t, w.metric("handler_failures_total"), "it is not the handler's failure")
	r.start()
	r.applied()
}

func TestStartRefuses(t *testing.T) {
	t.Run("the store of another topology", func(t *testing.T) {
		r := newRig(t, 1)
		_, err := redisstore.New(r.rdb, "app", "another").Claim(background, 0, 1, store.NewVersion())
		require.NoError(t, err)
		require.ErrorIs(t, r.worker().Start(background), store.ErrTopology)
	})
	t.Run("a store that may drop state", func(t *testing.T) {
		r := newRigOn(t, 1, testkit.RedisProcess(t, testkit.WithArgs("--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru")).Addr)
		require.ErrorIs(t, r.worker().Start(background), store.ErrUnsuitable)
	})
	t.Run("a store that an earlier version has filled", func(t *testing.T) {
		r := newRig(t, 1)
		require.NoError(t, r.rdb.Set(background, "app:topology", r.topo.ID, 0).Err())
		err := r.worker().Start(background)
		require.ErrorIs(t, err, store.ErrFormat)
		require.ErrorContains(t, err, "go tool task clean")
	})
	t.Run("no topology", func(t *testing.T) {
		r := newRig(t, 1)
		ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
		defer cancel()
		w := r.worker(func(c *Config) { c.App = "other" })
		require.ErrorIs(t, w.Start(ctx), topology.ErrNotFound)
		require.NoError(t, w.Stop(background))
	})
	t.Run("no topology in time", func(t *testing.T) {
		r := newRig(t, 1)
		w := r.worker(func(c *Config) { c.App, c.TopologyTimeout = "other", 50*time.Millisecond })
		err := w.Start(background)
		require.ErrorIs(t, err, topology.ErrNotFound)
		require.ErrorContains(t, err, "no topology of app other: is a router running, and is that the app's name? (none within 50ms)")
		require.NoError(t, w.Stop(background))
	})
}

func TestNewChecksItsConfig(t *testing.T) {
	r := newRig(t, 1)
	good := r.worker().cfg
	for name, change := range map[string]func(*Config){
		"app":          func(c *Config) { c.App = "No App" },
		"handler":      func(c *Config) { c.Handler = nil },
		"store":        func(c *Config) { c.Store = nil },
		"locker":       func(c *Config) { c.Locker = nil },
		"log":          func(c *Config) { c.Log = nil },
		"cache bytes":  func(c *Config) { c.CacheBytes = -1 },
		"round events": func(c *Config) { c.RoundEvents = -1 },
		"round bytes":  func(c *Config) { c.RoundBytes = -1 },
	} {
		cfg := good
		change(&cfg)
		_, err := New(r.nats.Conn, cfg)
		require.Error(t, err, name)
	}
}

func TestStartStopStress(t *testing.T) {
	r := newRig(t, 2)
	r.send(0, "a")
	r.send(1, "b")
	nc := r.nats.Connect(t, nats.ReconnectBufSize(-1))
	locker, err := lease.New(lease.Config{App: "app"}, r.rdb)
	require.NoError(t, err)
	testkit.StressStartStop(t, func() lifecycle.Part {
		return r.workerOn(nc, func(c *Config) {
			c.JanitorLease = func(ctx context.Context) (*lease.Lease, error) { return locker.TryNamed(ctx, "janitor") }
		})
	})
	r.start()
	r.applied()
}

func TestStopAnyTime(t *testing.T) {
	r := newRig(t, 2)
	w := r.worker()
	require.NoError(t, w.Stop(background))
	require.Error(t, w.Start(background))
	require.Error(t, w.Ready())
	for i := range 20 {
		w := r.worker()
		began := make(chan error, 1)
		go func() { began <- w.Start(background) }()
		for w.nc.Stats().OutMsgs < uint64(3*i) && len(began) == 0 { // another moment each time
			runtime.Gosched()
		}
		var stops sync.WaitGroup
		for range 2 {
			stops.Go(func() { _ = w.Stop(background) })
		}
		stops.Wait()
		<-began
		require.Empty(t, w.status().Shards)
	}
}
