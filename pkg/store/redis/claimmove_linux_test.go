package redis_test

import (
	"context"
	"testing"
	"time"

	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/testkit/redisnodes"
	"github.com/stretchr/testify/require"
)

// A slot in migration refuses calls that name a key which does not exist, though nothing has moved yet. So a shard that was claimed
// before goes on with keys that it has never had, and the first claim of a shard waits until the slot has moved.
func TestFirstClaimWhileASlotMoves(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := testkit.StartRedisCluster(t, 2, 0)
	s := redisstore.New(clusterClient(t, c), "app", "one")
	begin := func(shard int) *redisnodes.Move {
		move, err := redisnodes.NewMove(ctx, c.Masters[0].Addr, record(shard), func(others []redisnodes.Master) redisnodes.Master { return others[0] })
		require.NoError(t, err)
		require.NoError(t, move.Begin(ctx))
		return move
	}
	o := own(t, s, 0)
	first := begin(0)
	short, over := context.WithTimeout(ctx, 5*time.Second)
	defer over()
	require.NoError(t, o.commit(short))
	require.NoError(t, first.End(ctx))
	require.NoError(t, o.commit(ctx))

	second := begin(1)
	told := make(chan string, 100)
	claimed := make(chan error, 1)
	go func() {
		_, err := s.Claim(store.WithWaits(ctx, func(reason string) { told <- reason }), 1, 1, "first")
		claimed <- err
	}()
	require.Equal(t, "its slot is being moved to another Redis node", <-told)
	require.Empty(t, claimed)
	require.NoError(t, second.End(ctx))
	require.NoError(t, <-claimed)
	states, _, err := s.States(ctx, 1, []string{"k"})
	require.NoError(t, err)
	require.Nil(t, states[0])
}
