package publish

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestAskedIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, model, seq := newAsked(), make(map[uint64]uint64), uint64(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "add") {
				seq += rapid.Uint64Range(1, 200).Draw(t, "gap")
				a.add(seq, seq*7)
				model[seq] = seq * 7
				continue
			}
			of := rapid.Uint64Range(0, seq+1).Draw(t, "seq")
			tag, ok := a.take(of)
			want, known := model[of]
			require.Equal(t, known, ok)
			require.Equal(t, want, tag)
			delete(model, of)
		}
		for seq, want := range model {
			tag, ok := a.take(seq)
			require.True(t, ok)
			require.Equal(t, want, tag)
		}
		require.Empty(t, a.pages)
		require.Zero(t, a.bytes)
	})
}

// However many receipts never come, the newest are known and the memory is bounded.
func TestAskedIsBounded(t *testing.T) {
	for _, every := range []uint64{1, 16, 5000} {
		a := newAsked()
		a.max = 1 << 20
		const n = 200_000
		for seq := uint64(1); seq <= n*every; seq += every {
			a.add(seq, seq)
		}
		require.LessOrEqual(t, a.bytes, a.max)
		require.Greater(t, a.bytes, a.max*9/10)
		_, ok := a.take(1)
		require.False(t, ok)
		tag, ok := a.take((n-1)*every + 1)
		require.True(t, ok)
		require.Equal(t, (n-1)*every+1, tag)
	}
}
