package group

import (
	"context"
	"errors"
	"testing"

	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

var errAway = errors.New("away for a test")

func TestWithdrawAndReturn(t *testing.T) {
	c := newCluster(t, 8)
	ms := c.start(3)
	for range 3 {
		ms[0].Withdraw(errAway)
		ms[0].Withdraw(errAway)
		ms[0].requireNothingWanted(t)
		require.False(t, ms[0].Joined())
		c.settle(ms[1:]...)
		require.Zero(t, c.board.of(ms[0].ID()))
		eventually(t, func() bool { return len(ms[0].Others()) == 2 && len(ms[0].Members()) == 2 }, "its entry is gone")

		// A watch that begins anew, and an entry that was stored too late, bring no shards.
		testkit.KillConsumers(t, c.nats.Conn, "KV_app_members")
		_, err := ms[0].members.Put(background, ms[0].id, ms[0].self)
		require.NoError(t, err)
		c.settle(ms[1:]...)
		ms[0].requireNothingWanted(t)

		ms[0].Return()
		ms[0].Return()
		c.settle(ms...)
	}
	require.Zero(t, ms[0].metric("leases_lost_total"), "they were released")
	c.board.requireNeverDoubled(t)
}

// requireNothingWanted requires that a member which has withdrawn tries to take no shard, whether or not its entry is gone yet.
func (m *member) requireNothingWanted(t *testing.T) {
	t.Helper()
	for _, s := range m.seats {
		wanted, _ := s.state()
		require.False(t, wanted, "shard %d", s.shard)
	}
}

// An owner that waits for nothing but its context ends too, with the cause.
func TestWithdrawEndsOwnersAtOnce(t *testing.T) {
	c := newCluster(t, 1)
	owning, ended := make(chan struct{}, 1), make(chan error, 1)
	m := c.member(func(cfg *Config) {
		cfg.Own = func(ctx context.Context, _ Ownership) {
			owning <- struct{}{}
			<-ctx.Done()
			ended <- context.Cause(ctx)
		}
	})
	require.NoError(t, m.Start(background))
	<-owning
	m.Withdraw(errAway)
	require.ErrorIs(t, <-ended, errAway)
	eventually(t, func() bool { return c.value(0) == "" }, "released")
	m.Return()
	<-owning
	ctx, cancel := context.WithCancel(background)
	cancel()
	_ = m.Stop(ctx)
}

// A member that has withdrawn stops as any other, and leaves no entry.
func TestStopOfAWithdrawnMember(t *testing.T) {
	c := newCluster(t, 3)
	ms := c.start(2)
	ms[0].Withdraw(errAway)
	require.NoError(t, ms[0].Stop(background))
	ms[0].Return()
	c.settle(ms[1])
	require.Equal(t, []string{ms[1].ID()}, ms[1].Members())
}

// Withdrawing and returning at any moment leaves the members with the shards that are theirs.
func TestWithdrawAtAnyMoment(t *testing.T) {
	c := newCluster(t, 6)
	ms := c.start(2)
	for i := range 40 {
		ms[0].Withdraw(errAway)
		for range i % 7 {
			require.NoError(t, ms[0].nc.Flush())
		}
		ms[0].Return()
	}
	c.settle(ms...)
	c.board.requireNeverDoubled(t)
}
