package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

func commitWritesAll(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	_, err := s.Claim(ctx, 0, 1, "v1")
	require.NoError(t, err)
	pos := store.Position{Epoch: 1, Seq: 9, Time: time.Unix(5, 123456789)}
	require.NoError(t, s.Commit(ctx, &store.Commit{Shard: 0, Old: "v1", New: "v2", Position: pos, Owed: []byte("r"), Late: 2, LateLast: "x",
		Dedup: []store.Pair{{Key: "p1", Value: []byte{0, 1}}, {Key: "p2", Value: []byte{2}}}, States: []store.Pair{{Key: "a b:c", Value: []byte("\x00state")}}}))
	require.NoError(t, s.Commit(ctx, &store.Commit{Shard: 0, Old: "v2", New: "v3", Position: pos, Owed: []byte("r"), Late: 2, LateLast: "x",
		Dedup: []store.Pair{{Key: "p2", Value: nil}, {Key: "p3", Value: []byte{3}}}}))
	states, _, err := s.States(ctx, 0, []string{"a b:c", "none"})
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("\x00state"), nil}, states)
	shards, err := s.Shards(ctx, 2)
	require.NoError(t, err)
	require.True(t, shards[0].Position.Time.Equal(pos.Time))
	require.Equal(t, uint64(9), shards[0].Position.Seq)
	require.Equal(t, uint64(1), shards[0].Fence)
	require.Zero(t, shards[1].Fence)
	r, err := s.Claim(ctx, 0, 1, "v4")
	require.NoError(t, err)
	publishers, err := Publishers(s, 0, "v4")
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"p1": {0, 1}, "p3": {3}}, publishers)
	require.Equal(t, "r", string(r.Owed))
	require.Equal(t, uint64(2), r.Late)
	require.Equal(t, "x", r.LateLast)
	require.True(t, r.Position.Time.Equal(pos.Time))
	require.Equal(t, uint64(1), r.Position.Epoch)
}

func staleDoesNothing(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	_, err := s.Claim(ctx, 0, 1, "v1")
	require.NoError(t, err)
	_, err = s.Claim(ctx, 0, 2, "v2")
	require.NoError(t, err)
	err = s.Commit(ctx, &store.Commit{Shard: 0, Old: "v1", New: "v9", Position: store.Position{Epoch: 1, Seq: 1, Time: time.Unix(1, 0)},
		Dedup: []store.Pair{{Key: "p", Value: []byte{1}}}, States: []store.Pair{{Key: "k", Value: []byte("zombie")}}})
	require.ErrorIs(t, err, store.ErrStale)
	_, err = s.Load(ctx, 0, "v1", []string{"k"})
	require.ErrorIs(t, err, store.ErrStale)
	_, err = s.Load(ctx, 0, "v1", nil)
	require.ErrorIs(t, err, store.ErrStale, "also without keys")
	got, err := s.Load(ctx, 0, "v2", []string{"k"})
	require.NoError(t, err)
	require.Equal(t, [][]byte{nil}, got)
	got, err = s.Load(ctx, 0, "v2", nil)
	require.NoError(t, err)
	require.Empty(t, got)
	r, err := s.Claim(ctx, 0, 3, "v3")
	require.NoError(t, err)
	require.Equal(t, store.Position{}, r.Position)
	publishers, err := Publishers(s, 0, "v3")
	require.NoError(t, err)
	require.Empty(t, publishers)
}

func repeatedCommit(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	_, err := s.Claim(ctx, 0, 1, "v1")
	require.NoError(t, err)
	c := &store.Commit{Shard: 0, Old: "v1", New: "v2", Position: store.Position{Epoch: 1, Seq: 1, Time: time.Unix(1, 0)}, States: []store.Pair{{Key: "k", Value: []byte("x")}}}
	require.NoError(t, s.Commit(ctx, c))
	require.NoError(t, s.Commit(ctx, c))
	require.NoError(t, s.Commit(ctx, &store.Commit{Shard: 0, Old: "v2", New: "v3", Position: c.Position, States: []store.Pair{{Key: "k", Value: []byte("y")}}}))
	require.ErrorIs(t, s.Commit(ctx, c), store.ErrStale, "its successor has committed since")
	states, _, err := s.States(ctx, 0, []string{"k"})
	require.NoError(t, err)
	require.Equal(t, "y", string(states[0]))
}

func largeRounds(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	_, err := s.Claim(ctx, 0, 1, "v1")
	require.NoError(t, err)
	var keys []string
	c := &store.Commit{Shard: 0, Old: "v1", New: "v2", Position: store.Position{Epoch: 1, Seq: 1, Time: time.Unix(1, 0)}}
	for i := range 20_001 {
		k := fmt.Sprintf("key-%d", i)
		keys = append(keys, k)
		c.States = append(c.States, store.Pair{Key: k, Value: []byte(k)})
	}
	for i := range 3_000 {
		c.Dedup = append(c.Dedup, store.Pair{Key: fmt.Sprint(i), Value: []byte(strings.Repeat("x", 100))})
	}
	require.NoError(t, s.Commit(ctx, c))
	got, err := s.Load(ctx, 0, "v2", keys)
	require.NoError(t, err)
	for i := range keys {
		require.Equal(t, keys[i], string(got[i]))
	}
}
