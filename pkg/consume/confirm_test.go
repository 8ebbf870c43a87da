package consume

import (
	"context"
	"testing"

	"example.com/lockstep/pkg/group"
	"github.com/stretchr/testify/require"
)

// bucket counts revisions as the claims bucket does.
type bucket struct{ last uint64 }

func (b *bucket) announce() uint64 { b.last++; return b.last }

func (b *bucket) ownership() group.Ownership {
	return group.Ownership{Confirm: func(_ context.Context, revision uint64) (uint64, error) {
		if revision != b.last {
			return 0, group.ErrOutrun
		}
		return b.announce(), nil
	}}
}

// A store that goes back in time forgets its fences. What handlers have seen is then bounded by the bucket's revision,
// which the next owner's fence lies above.
func TestFenceIsConfirmedBeforeHandlersSeeIt(t *testing.T) {
	var b bucket
	mine := b.announce()
	other := b.announce()
	require.ErrorIs(t, confirm(t.Context(), b.ownership(), mine, mine), group.ErrOutrun, "another's fence may be known already")
	require.NoError(t, confirm(t.Context(), b.ownership(), other, other))

	mine = b.announce()
	fence := mine + 5 // five have claimed late
	require.NoError(t, confirm(t.Context(), b.ownership(), mine, fence))
	require.Greater(t, b.announce(), fence)

	mine = b.announce()
	require.NoError(t, confirm(t.Context(), b.ownership(), mine, mine+1e9), "the bucket was made anew; its revisions are of no use")
}
