package group

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/topology"
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

// A lease lasts 10 s: only the notice of its release can bring the others to it at once.
func TestStopHandsOverAtOnce(t *testing.T) {
	c := newCluster(t, 16)
	members := c.start(3)
	began := time.Now()
	require.NoError(t, members[0].Stop(background))
	require.Zero(t, c.board.of(members[0].ID()))
	c.settle(members[1:]...)
	took := time.Since(began)
	t.Logf("handed over within %s", took)
	require.Less(t, took, 2*time.Second)
	require.NoError(t, members[1].Stop(background))
	c.settle(members[2])
	c.board.requireNeverDoubled(t)
}

func TestStartTakesItsShare(t *testing.T) {
	c := newCluster(t, 8)
	members := c.start(1)
	late := c.member()
	require.NoError(t, late.Start(background))
	began := time.Now()
	c.settle(members[0], late)
	require.Less(t, time.Since(began), 2*time.Second)
	require.Equal(t, 4, c.board.of(late.ID()))
	c.board.requireNeverDoubled(t)
}

// A crashed process answers no probe: its connection is gone. Others unlock its leases for it.
func TestCrashedMemberIsRemovedAndUnlocked(t *testing.T) {
	c := newCluster(t, 9)
	members := c.start(3)
	crashed, rest := members[0], members[1:]
	began := time.Now()
	crashed.nc.Close()
	for _, m := range rest {
		eventually(t, func() bool { return len(m.Members()) == 2 }, "still a member")
	}
	removed := time.Since(began)
	want := Assign(9, []string{rest[0].ID(), rest[1].ID()})
	eventually(t, func() bool {
		for shard, id := range want {
			if c.value(shard) == "" || !c.board.has(shard, id) {
				return false
			}
		}
		return true
	}, "not taken over")
	took := time.Since(began)
	t.Logf("removed after %s, taken over after %s", removed, took)
	require.Less(t, took, 3*time.Second, "well below the lease's 10 s")
	require.Equal(t, 1.0, rest[0].metric("members_removed_total")+rest[1].metric("members_removed_total"), "one of the two did it")
	// The one whose connection was cut, and which still runs, finds at its next renewal that its leases are another's.
	eventually(t, func() bool { return c.board.of(crashed.ID()) == 0 }, "leases not given up")
	require.NotZero(t, crashed.metric("leases_lost_total"))
	require.NoError(t, crashed.Stop(background))
	c.settle(rest...)
}

// value is the value of a shard's lock, "" if nobody holds it.
func (c *cluster) value(shard int) string {
	return c.redis.Get(background, "app:lease:"+strconv.Itoa(shard)).Val()
}

// has tells whether a member stands at a shard, alone or not.
func (b *board) has(shard int, id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.owners[shard][id]
}

// stranger is in the members bucket, and has claimed shard 0, whose lock it holds. What answers for it is up to the test.
func (c *cluster) stranger(m *member, id string) *lease.Lease {
	c.t.Helper()
	l, err := c.locker.Try(background, 0)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = l.Release(background) })
	kv, err := topology.OpenBucket(background, m.js, "app", "claims", 1)
	require.NoError(c.t, err)
	_, err = kv.Put(background, "shard.0", []byte(`{"schema":1,"member":"`+id+`","lock":"`+l.Value()+`"}`))
	require.NoError(c.t, err)
	if kv, err = topology.OpenBucket(background, m.js, "app", "members", 1); err == nil {
		_, err = kv.Put(background, id, []byte(`{"schema":1}`))
	}
	require.NoError(c.t, err)
	return l
}

// A silent member may wake up, so its lease is left to run out.
func TestHungMemberKeepsItsLeases(t *testing.T) {
	c := newCluster(t, 1)
	sub, err := c.nats.Conn.SubscribeSync(topology.ControlSubject("app", "presence.hung"))
	require.NoError(t, err)
	m := c.member()
	held := c.stranger(m, "hung")
	began := time.Now()
	require.NoError(t, m.Start(background))
	eventually(t, func() bool { return len(m.Members()) == 1 }, "not removed")
	require.GreaterOrEqual(t, time.Since(began), silenceToGo)
	require.Equal(t, held.Value(), c.value(0), "its lease still stands")
	require.Zero(t, c.board.of(m.ID()))
	require.NoError(t, held.Release(background))
	m.announceReleased(0)
	c.settle(m)
	require.NoError(t, sub.Unsubscribe())
}

// The same member with nobody listening is gone, and is unlocked.
func TestGoneMemberLosesItsLeases(t *testing.T) {
	c := newCluster(t, 1)
	m := c.member()
	held := c.stranger(m, "gone")
	require.NoError(t, m.Start(background))
	c.settle(m)
	require.NotEqual(t, held.Value(), c.value(0))
}

func TestMemberRemovedByMistakeJoinsAgain(t *testing.T) {
	c := newCluster(t, 4)
	members := c.start(2)
	for range 3 {
		require.NoError(t, members[0].members.Delete(background, members[0].ID()))
		eventually(t, func() bool { return len(members[1].Members()) == 2 && len(members[0].Members()) == 2 }, "not back")
	}
	c.settle(members...)
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

func (s slowLocker) Try(ctx context.Context, shard int) (Lease, error) {
	s.asked <- struct{}{}
	<-s.proceed
	return s.Locker.Try(ctx, shard)
}

// The lease comes when the shard is not wanted any more: Own is called, and told at once.
func TestOwnOfAnUnwantedShardIsStoppedAlready(t *testing.T) {
	c := newCluster(t, 1)
	slow := slowLocker{Real(c.locker), make(chan struct{}), make(chan struct{})}
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
	require.GreaterOrEqual(t, last.Load(), uint64(15))
}

func TestNATSRestartEvictsNobody(t *testing.T) {
	c := newCluster(t, 8)
	var members []*member
	for i := range 3 {
		c.reconnectWait = time.Duration(i) * time.Second / 2 // so the first one is back long before the others
		m := c.member()
		m.steadyBefore = steadyBefore
		require.NoError(t, m.Start(background))
		members = append(members, m)
	}
	c.settle(members...)
	c.nats.Stop()
	for _, m := range members {
		eventually(t, func() bool { return !m.nc.IsConnected() }, "still connected")
	}
	c.nats.Start(t)
	for _, m := range members {
		eventually(t, m.nc.IsConnected, "not connected")
	}
	for _, m := range members { // a change that all hear of shows that their watches work again
		require.NoError(t, m.members.Delete(background, m.ID()))
		for _, other := range members {
			eventually(t, func() bool { return len(other.Members()) == 3 }, "%s does not know all", other.ID())
		}
	}
	c.settle(members...)
	for _, m := range members {
		require.Zero(t, m.metric("members_removed_total"))
		require.Zero(t, m.metric("leases_lost_total"))
	}
	c.board.requireNeverDoubled(t)
}

func TestNew(t *testing.T) {
	c := newCluster(t, 1)
	own := func(context.Context, Ownership) {}
	for _, cfg := range []Config{
		{App: "Not An App", Shards: 1, Locker: Real(c.locker), Own: own},
		{App: "app", Locker: Real(c.locker), Own: own},
		{App: "app", Shards: 1, Own: own},
		{App: "app", Shards: 1, Locker: Real(c.locker)},
	} {
		_, err := New(c.nats.Conn, cfg)
		require.Error(t, err)
	}
}

// deadLocker is a Redis that cannot be reached.
type deadLocker struct{ tries atomic.Int64 }

func (d *deadLocker) Try(context.Context, int) (Lease, error) {
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
