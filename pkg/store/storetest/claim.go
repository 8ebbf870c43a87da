package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

func claimRaisesFence(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	r, err := s.Claim(ctx, 3, 7, "v1")
	require.NoError(t, err)
	require.Equal(t, uint64(7), r.Fence, "the revision")
	require.Equal(t, store.Version("v1"), r.Version)
	require.Equal(t, store.Position{}, r.Position)
	r, err = s.Claim(ctx, 3, 2, "v2")
	require.NoError(t, err)
	require.Equal(t, uint64(8), r.Fence, "the fence before + 1: revisions went back")
	r, err = s.Claim(ctx, 3, 1<<50, "v3")
	require.NoError(t, err)
	require.Equal(t, uint64(1<<50), r.Fence)
	r, err = s.Claim(ctx, 3, 1, "v4")
	require.NoError(t, err)
	require.Equal(t, uint64(1<<50+1), r.Fence, "large fences stay exact")
}

func wipedStore(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	require.NoError(t, s.Check(ctx, 4))
	_, err := s.Claim(ctx, 0, 1, "v1")
	require.NoError(t, err)
	k.Wipe()
	require.ErrorIs(t, s.Commit(ctx, &store.Commit{Shard: 0, Old: "v1", New: "v2"}), store.ErrStale)
	_, err = s.Load(ctx, 0, "v1", []string{"k"})
	require.ErrorIs(t, err, store.ErrStale)
	r, err := s.Claim(ctx, 0, 5, "v3")
	require.NoError(t, err)
	require.Equal(t, store.Position{}, r.Position)
	require.ErrorIs(t, k.At("two").Check(ctx, 4), store.ErrTopology, "the claim has stamped it again")
	require.NoError(t, s.Verify(ctx, 0, "v3"))
}

func anotherTopology(t *testing.T, k Kept) {
	ctx := context.Background()
	require.NoError(t, k.At("one").Check(ctx, 4))
	require.NoError(t, k.At("two").Check(ctx, 4), "an empty store is nobody's")
	_, err := k.At("one").Claim(ctx, 3, 1, "v1")
	require.NoError(t, err)
	require.NoError(t, k.At("one").Check(ctx, 4))
	require.NoError(t, k.At("two").Check(ctx, 3), "of other shards")
	err = k.At("two").Check(ctx, 4)
	require.ErrorIs(t, err, store.ErrTopology)
	require.ErrorContains(t, err, `"one"`)
	require.ErrorContains(t, err, `"two"`)
	_, err = k.At("two").Claim(ctx, 3, 1, "v2")
	require.ErrorIs(t, err, store.ErrTopology)
	require.ErrorIs(t, k.At("two").Empty(ctx, 3, ""), store.ErrTopology)
	_, err = k.At("two").Intact(ctx, 3)
	require.ErrorIs(t, err, store.ErrTopology)
	require.NoError(t, k.At("one").Verify(ctx, 3, "v1"), "nothing was written")
}

func laterFormat(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	_, err := s.Claim(ctx, 0, 1, "v1")
	require.NoError(t, err)
	k.Need(0, store.Format+1)
	_, err = s.Claim(ctx, 0, 2, "v2")
	require.ErrorIs(t, err, store.ErrFormat)
	require.ErrorContains(t, err, fmt.Sprint(store.Format+1))
	require.ErrorIs(t, s.Empty(ctx, 0, ""), store.ErrFormat)
	_, err = s.Intact(ctx, 0)
	require.ErrorIs(t, err, store.ErrFormat)
	require.NoError(t, s.Verify(ctx, 0, "v1"), "nothing was written")
	_, err = s.Claim(ctx, 1, 2, "v2")
	require.NoError(t, err, "the others go on")
}

func racingOwners(t *testing.T, k Kept) {
	ctx := context.Background()
	s := k.At("one")
	_, err := s.Claim(ctx, 0, 1, "start")
	require.NoError(t, err)
	const owners, rounds = 8, 50
	wins := make([]int, owners)
	var wg sync.WaitGroup
	for o := range owners {
		wg.Go(func() {
			version := store.Version("start")
			for i := range rounds {
				next := store.NewVersion()
				err := s.Commit(ctx, &store.Commit{Shard: 0, Old: version, New: next, Position: store.Position{Epoch: 1, Seq: uint64(i + 1), Time: time.Unix(1, 0)}})
				if err == nil {
					version = next
					wins[o]++
				} else if !errors.Is(err, store.ErrStale) {
					t.Errorf("commit: %v", err)
				}
			}
		})
	}
	wg.Wait()
	winners := 0
	for _, w := range wins {
		if w > 0 {
			winners++
			require.Equal(t, rounds, w)
		}
	}
	require.Equal(t, 1, winners)
}
