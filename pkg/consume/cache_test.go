package consume

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLeastRecentlyUsedGoFirst(t *testing.T) {
	b := budget{max: 3 * (entryOverhead + 1)}
	c := newCache(&b)
	for _, key := range []string{"a", "b", "c"} {
		c.add(key)
	}
	c.get([]byte("a"))
	c.add("d")
	c.settle(nil)
	require.Nil(t, c.get([]byte("b")))
	require.NotNil(t, c.get([]byte("a")))
	require.LessOrEqual(t, b.used.Load(), b.max)
	c.clear()
	require.Zero(t, b.used.Load())
	require.Nil(t, c.get([]byte("a")))
}

// Two shards share one budget: each gives back its own only.
func TestBudgetIsShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := budget{max: rapid.Int64Range(0, 5000).Draw(t, "max")}
		caches := []*cache{newCache(&b), newCache(&b)}
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			c := rapid.SampledFrom(caches).Draw(t, "cache")
			key := fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "key"))
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				if c.get([]byte(key)) == nil {
					c.fill(c.add(key), make([]byte, rapid.IntRange(0, 500).Draw(t, "size")))
				}
			case 1:
				if e := c.get([]byte(key)); e != nil {
					c.change(e)
				}
			case 2:
				c.rollback()
			case 3:
				var envelopes [][]byte
				for range c.dirty {
					envelopes = append(envelopes, make([]byte, rapid.IntRange(0, 500).Draw(t, "size")))
				}
				c.settle(envelopes)
				require.True(t, b.used.Load() <= b.max || len(c.entries) == 0)
			}
			sum := int64(0)
			for _, c := range caches {
				for _, e := range c.entries {
					sum += int64(entryOverhead + len(e.key) + 2*e.size)
				}
			}
			require.Equal(t, sum, b.used.Load())
		}
		caches[0].clear()
		caches[1].clear()
		require.Zero(t, b.used.Load())
	})
}
