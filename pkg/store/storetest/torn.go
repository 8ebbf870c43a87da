package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

// tornSlot tears a slot in each way. No call uses it, nothing is written, and once it is emptied it is as one never claimed.
func tornSlot(t *testing.T, k Kept) {
	for name, tear := range map[string]func(){
		"record":       func() { k.Lose(0) },
		"some states":  func() { k.LoseState(0, "a") },
		"other states": func() { k.LoseState(0, "b") },
	} {
		t.Run(name, func(t *testing.T) {
			k.Wipe()
			tornSlotOf(t, k.At("one"), tear)
		})
	}
}

func tornSlotOf(t *testing.T, s store.Store, tear func()) {
	ctx := context.Background()
	at := store.Position{Epoch: 1, Seq: 1, Time: time.Unix(1, 0)}
	both := []string{"a", "b"}
	for shard := range 2 {
		_, err := s.Claim(ctx, shard, 1, "v1")
		require.NoError(t, err)
		require.NoError(t, s.Commit(ctx, &store.Commit{Shard: shard, Old: "v1", New: "v2", Position: at, States: []store.Pair{{Key: "a", Value: []byte("x")}, {Key: "b", Value: []byte("y")}}}))
		found, err := s.Intact(ctx, shard)
		require.NoError(t, err)
		require.Equal(t, uint64(1), found.Position.Seq)
		require.NoError(t, s.Verify(ctx, shard, "v2"))
	}
	tear()
	require.ErrorIs(t, s.Verify(ctx, 0, "v2"), store.ErrStale)
	_, err := s.Intact(ctx, 0)
	require.ErrorIs(t, err, store.ErrTorn)
	_, _, err = s.States(ctx, 0, both)
	require.ErrorIs(t, err, store.ErrTorn)
	_, err = s.Load(ctx, 0, "v2", both)
	require.ErrorIs(t, err, store.ErrStale)
	require.ErrorIs(t, s.Commit(ctx, &store.Commit{Shard: 0, Old: "v2", New: "v3", States: []store.Pair{{Key: "a", Value: []byte("z")}, {Key: "b", Value: []byte("z")}}}), store.ErrStale)
	for range 2 {
		_, err = s.Claim(ctx, 0, 5, "v4")
		require.ErrorIs(t, err, store.ErrTorn, "a replay would apply the log to states that have it")
	}
	found := store.MarkersOf(err)
	require.NotEmpty(t, found)
	require.NoError(t, s.Verify(ctx, 1, "v2"), "the others go on")
	require.ErrorIs(t, s.Empty(ctx, 1, found), store.ErrStale)
	require.NoError(t, s.Verify(ctx, 1, "v2"), "a slot that is not torn stays")

	require.NoError(t, s.Empty(ctx, 0, found))
	r, err := s.Claim(ctx, 0, 7, "v5")
	require.NoError(t, err)
	require.Equal(t, store.Record{Fence: 7, Version: "v5"}, r)
	states, _, err := s.States(ctx, 0, both)
	require.NoError(t, err)
	require.Equal(t, [][]byte{nil, nil}, states)
	require.ErrorIs(t, s.Empty(ctx, 0, found), store.ErrStale)
	require.NoError(t, s.Verify(ctx, 0, "v5"), "a late call of Empty leaves the slot as it is")

	require.NoError(t, s.Commit(ctx, &store.Commit{
		Old: "v5", New: "v6", Position: at, States: []store.Pair{{Key: "a", Value: []byte("x")}, {Key: "b", Value: []byte("y")}},
	}))
	tear()
	_, again := s.Intact(ctx, 0)
	require.ErrorIs(t, again, store.ErrTorn)
	require.ErrorIs(t, s.Empty(ctx, 0, found), store.ErrStale, "though it is torn as it was")
	_, err = s.Claim(ctx, 0, 8, "v7")
	require.ErrorIs(t, err, store.ErrTorn)
	require.Equal(t, store.MarkersOf(again), store.MarkersOf(err), "nothing of it is touched")
	require.NoError(t, s.Empty(ctx, 0, store.MarkersOf(err)))
}

// stateGoes removes states: they are no longer there, and nothing else has changed.
func stateGoes(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	_, err := s.Claim(ctx, 0, 1, "0")
	require.NoError(t, err)
	var keys []string
	set, remove := store.Commit{Old: "0", New: "1"}, store.Commit{Old: "1", New: "2"}
	for i := range 1000 {
		key := fmt.Sprint("key-", i)
		keys = append(keys, key)
		set.States = append(set.States, store.Pair{Key: key, Value: []byte(key)})
		if i%2 == 0 {
			remove.States = append(remove.States, store.Pair{Key: key})
		}
	}
	remove.States = append(remove.States, store.Pair{Key: "never there"}, store.Pair{Key: "new", Value: []byte("new")})
	require.NoError(t, s.Commit(ctx, &set))
	require.NoError(t, s.Commit(ctx, &remove))
	require.NoError(t, s.Commit(ctx, &remove), "a repetition")
	got, err := s.Load(ctx, 0, "2", append(keys, "new"))
	require.NoError(t, err)
	for i, key := range keys {
		if i%2 == 0 {
			require.Nil(t, got[i], key)
		} else {
			require.Equal(t, key, string(got[i]))
		}
	}
	require.Equal(t, "new", string(got[1000]))
	require.NoError(t, s.Verify(ctx, 0, "2"))
}
