package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

var errReader = errors.New("the reader cannot take it")

// claimMany claims shard 0 under the version v1 and commits more publishers than are read at once, under v2.
func claimMany(t *testing.T, s store.Store) map[string][]byte {
	_, err := s.Claim(context.Background(), 0, 1, "v1")
	require.NoError(t, err)
	want := make(map[string][]byte)
	c := &store.Commit{Shard: 0, Old: "v1", New: "v2", Position: store.Position{Epoch: 1, Seq: 1, Time: time.Unix(1, 0)}}
	for i := range 5000 {
		p := store.Pair{Key: fmt.Sprintf("%032x", i), Value: []byte(fmt.Sprint(i))}
		want[p.Key] = p.Value
		c.Dedup = append(c.Dedup, p)
	}
	require.NoError(t, s.Commit(context.Background(), c))
	return want
}

func manyPublishers(t *testing.T, k Kept) {
	s := k.At("one")
	want := claimMany(t, s)
	publishers, err := Publishers(s, 0, "v2")
	require.NoError(t, err)
	require.Equal(t, want, publishers)
	_, err = Publishers(s, 0, "v1")
	require.ErrorIs(t, err, store.ErrStale)
	_, err = Publishers(s, 3, "v2")
	require.ErrorIs(t, err, store.ErrStale, "nobody has claimed it")
}

func changedWhileRead(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	want := claimMany(t, s)
	remove := &store.Commit{Shard: 0, Old: "w1", New: "w2"}
	for id := range want {
		remove.Dedup = append(remove.Dedup, store.Pair{Key: id}, store.Pair{Key: "new-" + id, Value: []byte{1}})
	}
	got := make(map[string][]byte)
	err := s.Publishers(ctx, 0, "v2", func(id string, encoded []byte) (bool, error) {
		if len(got) == 0 {
			_, err := s.Claim(ctx, 0, 1, "w1")
			require.NoError(t, err)
			require.NoError(t, s.Commit(ctx, remove))
		}
		_, known := got[id]
		got[id] = encoded
		return !known, nil
	})
	if err == nil { // it had come whole before
		require.Equal(t, want, got)
	} else {
		require.ErrorIs(t, err, store.ErrStale)
	}
}

func readerFails(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	claimMany(t, s)
	calls := 0
	err := s.Publishers(ctx, 0, "v2", func(string, []byte) (bool, error) {
		calls++
		return false, errReader
	})
	require.ErrorIs(t, err, errReader)
	require.Equal(t, 1, calls)
}
