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

// independentSlots loses the slots of two of three shards, in different ways. Each shard holds a state under the same key.
func independentSlots(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	key := []string{"k"}
	for shard := range 3 {
		_, err := s.Claim(ctx, shard, 1, "v1")
		require.NoError(t, err)
		require.NoError(t, s.Commit(ctx, &store.Commit{Shard: shard, Old: "v1", New: "v2", Position: store.Position{Epoch: 1, Seq: 5, Time: time.Unix(1, 0)},
			Dedup: []store.Pair{{Key: "p", Value: []byte{1}}}, States: []store.Pair{{Key: "k", Value: fmt.Append(nil, shard)}}}))
	}
	k.LoseAll(0)
	k.Lose(1)
	require.NoError(t, s.Check(ctx, 3))
	shards, err := s.Shards(ctx, 3)
	require.NoError(t, err)
	for shard, want := range []uint64{0, 0, 5} {
		require.NoError(t, shards[shard].Err)
		require.Equal(t, want, shards[shard].Position.Seq)
	}
	states, _, err := s.States(ctx, 0, key)
	require.NoError(t, err)
	require.Nil(t, states[0])
	_, _, err = s.States(ctx, 1, key)
	require.ErrorIs(t, err, store.ErrTorn)
	for shard := range 2 {
		require.ErrorIs(t, s.Verify(ctx, shard, "v2"), store.ErrStale)
		if _, err := s.Intact(ctx, shard); shard == 1 {
			require.ErrorIs(t, err, store.ErrTorn)
			require.NoError(t, s.Empty(ctx, shard, store.MarkersOf(err)))
		} else {
			require.NoError(t, err)
		}
		r, err := s.Claim(ctx, shard, 9, "v3")
		require.NoError(t, err)
		require.Equal(t, store.Record{Fence: 9, Version: "v3"}, r)
		states, err := s.Load(ctx, shard, "v3", key)
		require.NoError(t, err)
		require.Nil(t, states[0])
		publishers, err := Publishers(s, shard, "v3")
		require.NoError(t, err)
		require.Empty(t, publishers)
	}
	require.NoError(t, s.Verify(ctx, 2, "v2"), "the third has lost nothing")
	states, err = s.Load(ctx, 2, "v2", key)
	require.NoError(t, err)
	require.Equal(t, "2", string(states[0]))
	publishers, err := Publishers(s, 2, "v2")
	require.NoError(t, err)
	require.Len(t, publishers, 1)
}

// neverClaimed makes every call but Claim for a slot that is not there, beside one that is. None makes it.
func neverClaimed(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	_, err := s.Claim(ctx, 0, 1, "v1")
	require.NoError(t, err)
	for range 2 {
		const shard = 77
		require.NoError(t, s.Check(ctx, shard+1))
		require.ErrorIs(t, s.Empty(ctx, shard, ""), store.ErrStale)
		found, err := s.Intact(ctx, shard)
		require.NoError(t, err)
		require.Equal(t, store.Shard{}, found)
		require.ErrorIs(t, s.Verify(ctx, shard, "v1"), store.ErrStale)
		_, err = s.Load(ctx, shard, "v1", []string{"k"})
		require.ErrorIs(t, err, store.ErrStale)
		require.ErrorIs(t, s.Commit(ctx, &store.Commit{Shard: shard, Old: "v1", New: "v2", States: []store.Pair{{Key: "k", Value: []byte("x")}}}), store.ErrStale)
		_, err = Publishers(s, shard, "v1")
		require.ErrorIs(t, err, store.ErrStale)
		states, _, err := s.States(ctx, shard, []string{"k"})
		require.NoError(t, err)
		require.Equal(t, [][]byte{nil}, states)
		shards, err := s.Shards(ctx, shard+1)
		require.NoError(t, err)
		require.Equal(t, store.Shard{}, shards[shard])
	}
	require.NoError(t, s.Verify(ctx, 0, "v1"))
}

// publishersOfTornSlot reads the publishers of a slot without its record, and of one that lacks some states.
func publishersOfTornSlot(t *testing.T, k Kept) {
	s := k.At("one")
	want := claimMany(t, s)
	k.LoseState(0, "k")
	if got, err := Publishers(s, 0, "v2"); err == nil {
		require.Equal(t, want, got, "the record is complete in itself")
	} else {
		require.ErrorIs(t, err, store.ErrStale)
	}
	k.Lose(0)
	_, err := Publishers(s, 0, "v2")
	require.ErrorIs(t, err, store.ErrStale)
}

func checksShards(t *testing.T, k Kept) {
	ctx := context.Background()
	_, err := k.At("one").Claim(ctx, 5, 1, "v1")
	require.NoError(t, err)
	k.LoseState(5, "k")
	for n := range 7 {
		require.NoError(t, k.At("one").Check(ctx, n), "a claim finds what is torn")
		err := k.At("two").Check(ctx, n)
		if n <= 5 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, store.ErrTopology)
		}
	}
}

// oddKeys stores keys that look like something of the store's own. Nothing is stored for a key without a byte.
func oddKeys(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	_, err := s.Claim(ctx, 0, 1, "v1")
	require.NoError(t, err)
	keys := []string{"\x00", "\r\n", " ", "*", "{app:1}", "record", "version", "fence", "m:state:3", "dedup:p", "200", "-1", "é\u2028", "\xff\xfe", strings.Repeat("k", 1024)}
	c := &store.Commit{Shard: 0, Old: "v1", New: "v2", Dedup: []store.Pair{{Key: "p", Value: []byte("publisher")}, {Key: "m:state:3", Value: []byte("odd")}}}
	for _, key := range keys {
		c.States = append(c.States, store.Pair{Key: key, Value: []byte("state of " + key)})
	}
	require.NoError(t, s.Commit(ctx, c))
	require.NoError(t, s.Verify(ctx, 0, "v2"))
	states, err := s.Load(ctx, 0, "v2", keys)
	require.NoError(t, err)
	for i, key := range keys {
		require.Equal(t, "state of "+key, string(states[i]), "key %q", key)
	}
	publishers, err := Publishers(s, 0, "v2")
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"p": []byte("publisher"), "m:state:3": []byte("odd")}, publishers)

	for _, value := range [][]byte{nil, []byte("x")} {
		err = s.Commit(ctx, &store.Commit{Shard: 0, Old: "v2", New: "v3", States: []store.Pair{{Key: "k", Value: []byte("x")}, {Value: value}}})
		require.ErrorIs(t, err, store.ErrNoKey)
	}
	_, err = s.Load(ctx, 0, "v2", []string{"k", ""})
	require.ErrorIs(t, err, store.ErrNoKey)
	_, _, err = s.States(ctx, 0, []string{"k", ""})
	require.ErrorIs(t, err, store.ErrNoKey)
	states, err = s.Load(ctx, 0, "v2", []string{"k"})
	require.NoError(t, err)
	require.Nil(t, states[0], "nothing was written")
}
