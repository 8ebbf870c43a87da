package group

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var background = context.Background()

func TestMembersSplitTheShards(t *testing.T) {
	c := newCluster(t, 16)
	members := c.start(3)
	for _, m := range members {
		require.LessOrEqual(t, c.board.of(m.ID()), 6)
		require.Len(t, m.Members(), 3)
		require.Equal(t, float64(c.board.of(m.ID())), m.metric("shards_owned"))
	}
	c.board.requireNeverDoubled(t)
}

// handOver is how long it may take until a shard has another owner, on a machine however busy: less than the 7 s that a
// lease lasts at least when its owner has gone.
const handOver = 5 * time.Second

// contested is a Locker that notes the shards that it has found to be another's.
type contested struct {
	Locker
	mu    sync.Mutex
	found map[int]bool
}

func (c *contested) Try(ctx context.Context, shard int, member string) (Lease, error) {
	l, err := c.Locker.Try(ctx, shard, member)
	if errors.Is(err, lease.ErrTaken) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.found[shard] = true
	}
	return l, err
}

func (c *contested) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found = make(map[int]bool)
}

// all tells whether all shards that are assigned to a member were found to be another's.
func (c *contested) all(assigned []string, id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for shard, of := range assigned {
		if of == id && !c.found[shard] {
			return false
		}
	}
	return true
}

// lingering owners keep what they shall hand over until end is called.
func lingering() (change func(*Config), end func()) {
	ended := make(chan struct{})
	return func(cfg *Config) {
		own := cfg.Own
		cfg.Own = func(ctx context.Context, o Ownership) {
			own(ctx, o)
			<-ended
		}
	}, sync.OnceFunc(func() { close(ended) })
}

// A lease lasts 10 s: only the notice of its release can bring those who have found it taken to it at once.
func TestStopHandsOverAtOnce(t *testing.T) {
	c := newCluster(t, 16)
	tried := &contested{Locker: Leases(c.locker)}
	tried.forget()
	rest := c.start(2, func(cfg *Config) { cfg.Locker = tried })
	linger, end := lingering()
	defer end()
	leaver := c.member(linger)
	require.NoError(t, leaver.Start(background))
	c.settle(rest[0], rest[1], leaver)
	tried.forget()
	stopped := make(chan error)
	go func() { stopped <- leaver.Stop(background) }()
	shards := Assign(16, []string{rest[0].ID(), rest[1].ID(), leaver.ID()})
	eventually(t, func() bool { return tried.all(shards, leaver.ID()) }, "not asked for")
	began := time.Now()
	end()
	require.NoError(t, <-stopped)
	require.Zero(t, c.board.of(leaver.ID()))
	c.settle(rest...)
	took := time.Since(began)
	t.Logf("handed over within %s", took)
	require.Less(t, took, handOver)
	require.NoError(t, rest[0].Stop(background))
	c.settle(rest[1])
	c.board.requireNeverDoubled(t)
}

func TestStartTakesItsShare(t *testing.T) {
	c := newCluster(t, 8)
	linger, end := lingering()
	defer end()
	first := c.start(1, linger)[0]
	tried := &contested{Locker: Leases(c.locker)}
	tried.forget()
	late := c.member(func(cfg *Config) { cfg.Locker = tried })
	require.NoError(t, late.Start(background))
	shards := Assign(8, []string{first.ID(), late.ID()})
	eventually(t, func() bool { return tried.all(shards, late.ID()) }, "not asked for")
	began := time.Now()
	end()
	c.settle(first, late)
	require.Less(t, time.Since(began), handOver)
	require.Equal(t, 4, c.board.of(late.ID()))
	c.board.requireNeverDoubled(t)
}

func TestNeverTwoOwnersWhileMembersComeAndGo(t *testing.T) {
	c := newCluster(t, 6)
	stay := c.start(1)[0]
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 5 {
				m := c.member()
				if err := m.Start(background); err != nil {
					t.Errorf("start: %v", err)
					return
				}
				assert.Eventually(t, func() bool { return c.board.of(m.ID()) > 0 }, 20*time.Second, time.Millisecond, "nothing to own")
				if err := m.Stop(background); err != nil {
					t.Errorf("stop: %v", err)
				}
			}
		})
	}
	wg.Wait()
	c.settle(stay)
	c.board.requireNeverDoubled(t)
}

// slowLocker takes a lease only when it is told to.
type slowLocker struct {
	Locker
	asked, proceed chan struct{}
}

func (s slowLocker) Try(ctx context.Context, shard int, member string) (Lease, error) {
	s.asked <- struct{}{}
	<-s.proceed
	return s.Locker.Try(ctx, shard, member)
}

// The lease comes when the shard is not wanted any more: Own is called, and told at once.
func TestOwnOfAnUnwantedShardIsStoppedAlready(t *testing.T) {
	c := newCluster(t, 1)
	slow := slowLocker{Leases(c.locker), make(chan struct{}), make(chan struct{})}
	closed := make(chan bool, 1)
	m := c.member(func(cfg *Config) {
		cfg.Locker = slow
		cfg.Own = func(_ context.Context, o Ownership) {
			select {
			case <-o.Stop:
				closed <- true
			default:
				closed <- false
			}
		}
	})
	require.NoError(t, m.Start(background))
	<-slow.asked
	stopped := make(chan error)
	go func() { stopped <- m.Stop(background) }()
	eventually(t, func() bool {
		wanted, _ := m.seats[0].state()
		return !wanted
	}, "still wanted")
	close(slow.proceed)
	require.True(t, <-closed)
	require.NoError(t, <-stopped)
	require.Empty(t, c.value(0), "released")
}

func TestLostLeaseEndsOwnWithItsCause(t *testing.T) {
	c := newCluster(t, 1)
	cause := make(chan error, 10)
	m := c.member(func(cfg *Config) {
		cfg.Own = func(ctx context.Context, o Ownership) {
			select {
			case <-ctx.Done():
				cause <- context.Cause(ctx)
			case <-o.Stop:
			}
		}
	})
	require.NoError(t, m.Start(background))
	eventually(t, func() bool { return c.value(0) != "" }, "not taken")
	require.NoError(t, c.redis.Set(background, "app:lease:0", "another's", 0).Err())
	require.ErrorIs(t, <-cause, lease.ErrLost)
	require.NoError(t, c.redis.Del(background, "app:lease:0").Err())
	m.announceReleased(0)
	eventually(t, func() bool { return c.value(0) != "" }, "not taken again")
}

func TestRevisionsOnlyGrow(t *testing.T) {
	c := newCluster(t, 1)
	var last atomic.Uint64
	turns := make(chan string, 100)
	grow := func(cfg *Config) {
		cfg.Own = func(ctx context.Context, o Ownership) {
			for range 3 {
				rev, err := o.Announce(ctx)
				if err != nil || rev <= last.Load() {
					t.Errorf("revision %d after %d, error %v", rev, last.Load(), err)
				}
				last.Store(rev)
				confirmed, err := o.Confirm(ctx, rev)
				if err != nil || confirmed <= rev {
					t.Errorf("revision %d after %d, error %v", confirmed, rev, err)
				}
				last.Store(confirmed)
				if _, err := o.Confirm(ctx, rev); !errors.Is(err, ErrOutrun) {
					t.Errorf("revision %d is not the entry's any more, and is confirmed: %v", rev, err)
				}
			}
			turns <- ""
			<-o.Stop
		}
	}
	for range 5 {
		m := c.member(grow)
		require.NoError(t, m.Start(background))
		<-turns
		require.NoError(t, m.Stop(background))
	}
	require.GreaterOrEqual(t, last.Load(), uint64(30))
}

func TestNew(t *testing.T) {
	c := newCluster(t, 1)
	own := func(context.Context, Ownership) {}
	for _, cfg := range []Config{
		{App: "Not An App", Shards: 1, Locker: Leases(c.locker), Own: own},
		{App: "app", Locker: Leases(c.locker), Own: own},
		{App: "app", Shards: 1, Own: own},
		{App: "app", Shards: 1, Locker: Leases(c.locker)},
	} {
		_, err := New(c.nats.Conn, cfg)
		require.Error(t, err)
	}
}

// deadLocker is a Redis that cannot be reached.
type deadLocker struct{ tries atomic.Int64 }

func (d *deadLocker) Try(context.Context, int, string) (Lease, error) {
	d.tries.Add(1)
	return nil, errors.New("no connection")
}

func (*deadLocker) Unlock(context.Context, int, string) error { return nil }

func TestLocksThatCannotBeHadAreTriedAgain(t *testing.T) {
	c := newCluster(t, 2)
	dead := &deadLocker{}
	m := c.member(func(cfg *Config) { cfg.Locker = dead })
	require.NoError(t, m.Start(background))
	eventually(t, func() bool { return dead.tries.Load() >= 6 }, "not tried again")
	require.False(t, m.Settled())
	require.NoError(t, m.Stop(background))
}

// An owner whose claim cannot be announced, as the bucket is gone, says so.
func TestClaimsBucketIsGone(t *testing.T) {
	c := newCluster(t, 1)
	m := c.start(1)[0]
	js, err := jetstream.New(c.nats.Conn)
	require.NoError(t, err)
	require.NoError(t, js.DeleteKeyValue(background, topology.Bucket("app", "claims")))
	_, err = m.announce(background, 0)
	require.ErrorIs(t, err, topology.ErrGone)
	require.ErrorContains(t, err, "announce the owner of shard 0: bucket app_claims: it is gone: restore it")
}
