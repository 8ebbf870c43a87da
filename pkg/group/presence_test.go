package group

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

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
	require.Less(t, took, handOver)
	require.Equal(t, 1.0, rest[0].metric("members_removed_total")+rest[1].metric("members_removed_total"), "one of the two did it")
	// The one whose connection was cut, and which still runs, finds at its next renewal that its leases are another's.
	eventually(t, func() bool { return c.board.of(crashed.ID()) == 0 }, "leases not given up")
	require.NotZero(t, crashed.metric("leases_lost_total"))
	require.NoError(t, crashed.Stop(background))
	c.settle(rest...)
}

// A probe names where its answer goes, and may not make a member write to JetStream or to the app's own subjects.
func TestPresenceAnswersNowhereButToProbers(t *testing.T) {
	c := newCluster(t, 1)
	m := c.start(1)[0]
	js, err := jetstream.New(c.nats.Conn)
	require.NoError(t, err)
	_, err = js.CreateStream(background, jetstream.StreamConfig{Name: "APP_1_0", Subjects: []string{"app.work.1.0.*"}})
	require.NoError(t, err)
	subject := topology.ControlSubject("app", "presence."+m.ID())
	for _, reply := range []string{
		"$JS.API.STREAM.DELETE.KV_app_claims", "$JS.API.STREAM.DELETE.KV_app_members", "$KV.app_topology.topology", "app.work.1.0.2", subject,
	} {
		require.NoError(t, c.nats.Conn.PublishRequest(subject, reply, nil))
	}
	_, err = c.nats.Conn.Request(subject, nil, time.Minute)
	require.NoError(t, err)
	require.NoError(t, m.nc.Flush())
	for _, bucket := range []string{"app_claims", "app_members"} {
		_, err := js.KeyValue(background, bucket)
		require.NoError(t, err)
	}
	ack, err := js.Publish(background, "app.work.1.0.0", nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, ack.Sequence)
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
	l := c.unclaimed(m, id)
	kv, err := topology.OpenBucket(background, m.js, "app", "claims", 1)
	require.NoError(c.t, err)
	_, err = kv.Put(background, "shard.0", []byte(`{"schema":1,"member":"`+id+`"}`))
	require.NoError(c.t, err)
	return l
}

// unclaimed is a stranger that has not claimed the shard so far.
func (c *cluster) unclaimed(m *member, id string) *lease.Lease {
	c.t.Helper()
	l, err := c.locker.Try(background, 0, id)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = l.Release(background) })
	kv, err := topology.OpenBucket(background, m.js, "app", "members", 1)
	require.NoError(c.t, err)
	_, err = kv.Put(background, id, []byte(`{"schema":1}`))
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

// So does one that has died between taking a lease and claiming the shard.
func TestGoneMemberLosesALeaseThatItHasNotClaimed(t *testing.T) {
	c := newCluster(t, 1)
	m := c.member()
	id := "gone"
	for Assign(1, []string{id, m.ID()})[0] != id {
		id += "e"
	}
	began := time.Now()
	held := c.unclaimed(m, id)
	require.NoError(t, m.Start(background))
	c.settle(m)
	require.Less(t, time.Since(began), handOver)
	require.NotEqual(t, held.Value(), c.value(0))
}

// lockServer is a Locker whose servers cannot be reached while down.
type lockServer struct {
	Locker
	down  atomic.Bool
	tried chan struct{} // cap 1: somebody has tried to unlock while it was down
}

func (l *lockServer) Unlock(ctx context.Context, shard int, member string) error {
	if !l.down.Load() {
		return l.Locker.Unlock(ctx, shard, member)
	}
	select {
	case l.tried <- struct{}{}:
	default:
	}
	return errors.New("connection refused")
}

// A member that dies while the lock servers cannot be reached is unlocked once they can.
func TestGoneMemberIsUnlockedOnceThatCanBeDone(t *testing.T) {
	c := newCluster(t, 1)
	locks := &lockServer{Locker: Leases(c.locker), tried: make(chan struct{}, 1)}
	m := c.member(func(cfg *Config) { cfg.Locker = locks })
	locks.down.Store(true)
	held := c.stranger(m, "gone")
	require.NoError(t, m.Start(background))
	<-locks.tried
	eventually(t, func() bool { return len(m.Members()) == 1 }, "not removed")
	require.Equal(t, held.Value(), c.value(0))
	locks.down.Store(false)
	c.settle(m)
	require.NotEqual(t, held.Value(), c.value(0))
	ttl, err := c.redis.PTTL(background, "app:lease:0").Result()
	require.NoError(t, err)
	require.Greater(t, ttl, lease.DefaultTTL/2, "it is a new one")
}

// On a server that is cut off from its cluster nobody else is heard, and the bucket's leader is not either. Nobody is removed
// for it, neither then nor as soon as all is back, when they may be heard again.
func TestNobodyIsJudgedWithoutTheBucket(t *testing.T) {
	c := newCluster(t, 1)
	cut := make(chan struct{}, 100)
	m := c.member(func(cfg *Config) { cfg.Unanswered = func() { cut <- struct{}{} } })
	presence, err := c.nats.Conn.Subscribe(topology.ControlSubject("app", "presence.other"), func(m *nats.Msg) { _ = m.Respond(nil) })
	require.NoError(t, err)
	held := c.stranger(m, "other")
	require.NoError(t, m.Start(background))
	eventually(t, func() bool { return len(m.Members()) == 2 }, "not there")
	require.True(t, m.remove(map[string]verdict{"other": gone}))
	require.True(t, m.remove(map[string]verdict{"other": hung}))
	_, err = m.members.Get(background, "other")
	require.NoError(t, err, "it was heard, so it stays")

	require.NoError(t, c.nats.Server.ShutdownJetStream())
	require.NoError(t, presence.Unsubscribe())
	select {
	case <-cut:
	case <-time.After(time.Minute):
		t.Fatal("nobody was told")
	}
	require.False(t, m.remove(map[string]verdict{"other": gone}))
	require.Equal(t, held.Value(), c.value(0))
}

// One that does not hear itself learns nothing from the silence of others; a refusal it can believe.
func TestTheDeafJudgeNobodySilent(t *testing.T) {
	c := newCluster(t, 1)
	m := c.member()
	listens := func(id string, answer func(*nats.Msg)) *nats.Subscription {
		s, err := c.nats.Conn.Subscribe(topology.ControlSubject("app", "presence."+id), answer)
		require.NoError(t, err)
		require.NoError(t, c.nats.Conn.Flush())
		return s
	}
	mute := func(*nats.Msg) {}
	listens("hangs", mute)
	itself := listens(m.id, mute)
	ids := []string{"hangs", "nobody", m.id}
	require.Equal(t, map[string]answer{"nobody": refused}, m.ask(ids))

	require.NoError(t, itself.Unsubscribe())
	listens(m.id, m.answerProbe)
	require.Equal(t, map[string]answer{"hangs": silent, "nobody": refused, m.id: heard}, m.ask(ids))
}

// slowLocks is a Locker that unlocks, and then waits for one of its servers, which hangs.
type slowLocks struct{ Locker }

func (slowLocks) Unlock(ctx context.Context, _ int, _ string) error {
	<-ctx.Done()
	return nil
}

func TestAllAreUnlockedThoughALockServerHangs(t *testing.T) {
	c := newCluster(t, 16)
	m := c.member(func(cfg *Config) { cfg.Locker = slowLocks{} })
	var shards []int
	for shard := range 16 {
		shards = append(shards, shard)
	}
	left, err := m.tryUnlock(background, "gone", shards)
	require.NoError(t, err)
	require.Empty(t, left)
}

// One that has joined again by then lives, and keeps its leases.
func TestMemberThatIsBackIsNotUnlocked(t *testing.T) {
	c := newCluster(t, 1)
	locks := &lockServer{Locker: Leases(c.locker), tried: make(chan struct{}, 1)}
	said := make(chan string, 100)
	m := c.member(func(cfg *Config) { cfg.Locker, cfg.Log = locks, slog.New(sayer{slog.DiscardHandler, said}) })
	locks.down.Store(true)
	held := c.stranger(m, "back")
	require.NoError(t, m.Start(background))
	<-locks.tried
	_, err := c.nats.Conn.Subscribe(topology.ControlSubject("app", "presence.back"), func(m *nats.Msg) { _ = m.Respond(nil) })
	require.NoError(t, err)
	_, err = m.members.Put(background, "back", []byte(`{"schema":1}`))
	require.NoError(t, err)
	for deadline := time.After(unlockFor); ; {
		select {
		case line := <-said:
			if line != "member is back and keeps its shards" {
				continue
			}
		case <-deadline:
			t.Fatal("still unlocking")
		}
		break
	}
	locks.down.Store(false)
	require.Equal(t, held.Value(), c.value(0))
}

// sayer is a log whose lines a test waits for.
type sayer struct {
	slog.Handler
	said chan<- string
}

func (s sayer) Enabled(context.Context, slog.Level) bool { return true }

func (s sayer) Handle(_ context.Context, r slog.Record) error {
	select {
	case s.said <- r.Message:
	default:
	}
	return nil
}

// It does not keep the others from being judged, nor the group from stopping.
func TestStopWhileUnlocking(t *testing.T) {
	c := newCluster(t, 1)
	locks := &lockServer{Locker: Leases(c.locker), tried: make(chan struct{}, 1)}
	m := c.member(func(cfg *Config) { cfg.Locker = locks })
	locks.down.Store(true)
	c.stranger(m, "gone")
	require.NoError(t, m.Start(background))
	<-locks.tried
	began := time.Now()
	require.NoError(t, m.Stop(background))
	require.Less(t, time.Since(began), unlockFor/2)
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
