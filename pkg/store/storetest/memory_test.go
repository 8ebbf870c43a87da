package storetest_test

import (
	"context"
	"testing"

	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/store/storetest"
	"github.com/stretchr/testify/require"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Kept {
		m := storetest.NewMemory()
		return storetest.Kept{
			At: m.At, Wipe: m.Wipe, Lose: m.Lose, LoseState: m.LoseState, LoseAll: m.LoseAll, Need: m.Need,
			Needs: m.Needs, LoseHeads: m.LoseHeads, LoseEvent: m.LoseEvent,
		}
	})
}

// Restoring a snapshot drops the commits after it, and a snapshot can be restored again.
func TestMemoryGoesBackInTime(t *testing.T) {
	ctx := context.Background()
	m := storetest.NewMemory()
	s := m.At("one")
	commit := func(from, to store.Version, value string) {
		require.NoError(t, s.Commit(ctx, &store.Commit{Old: from, New: to, Position: store.Position{Epoch: 1, Seq: uint64(len(to))},
			Dedup: []store.Pair{{Key: "p", Value: []byte(value)}}, States: []store.Pair{{Key: "k", Value: []byte(value)}}}))
	}
	_, err := s.Claim(ctx, 0, 1, "v")
	require.NoError(t, err)
	commit("v", "vv", "first")
	snapshot := m.Snapshot()
	for range 2 {
		commit("vv", "vvv", "second")
		_, err = s.Load(ctx, 0, "vv", nil)
		require.ErrorIs(t, err, store.ErrStale)
		m.Restore(snapshot)
		states, err := s.Load(ctx, 0, "vv", []string{"k"})
		require.NoError(t, err)
		require.Equal(t, "first", string(states[0]))
	}
	r, err := s.Claim(ctx, 0, 1, "again")
	require.NoError(t, err)
	require.Equal(t, uint64(2), r.Position.Seq)
	publishers, err := storetest.Publishers(s, 0, "again")
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"p": []byte("first")}, publishers)
	require.Equal(t, []string{"k"}, m.Keys())
}

// One slot goes back in time, and the others stay where they are.
func TestSlotGoesBackByItself(t *testing.T) {
	ctx := context.Background()
	m := storetest.NewMemory()
	s := m.At("one")
	empty := m.Snapshot()
	for shard := range 3 {
		_, err := s.Claim(ctx, shard, 1, "v1")
		require.NoError(t, err)
	}
	claimed := m.Snapshot()
	for shard := range 3 {
		require.NoError(t, s.Commit(ctx, &store.Commit{Shard: shard, Old: "v1", New: "v2", States: []store.Pair{{Key: "k", Value: []byte("x")}}}))
	}
	m.RestoreSlot(0, claimed)
	m.RestoreSlot(1, empty)
	require.NoError(t, s.Verify(ctx, 0, "v1"))
	require.ErrorIs(t, s.Verify(ctx, 1, "v1"), store.ErrStale)
	require.NoError(t, s.Verify(ctx, 2, "v2"))
	for shard, want := range [][]byte{nil, nil, []byte("x")} {
		states, _, err := s.States(ctx, shard, []string{"k"})
		require.NoError(t, err)
		require.Equal(t, [][]byte{want}, states)
	}
}
