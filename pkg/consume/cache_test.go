package consume

import (
	"fmt"
	"testing"

	"example.com/lockstep/pkg/store"
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
	c.settle(nil, nil, 0)
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
					c.change(e, rapid.IntRange(0, 9).Draw(t, "item"))
				}
			case 2:
				if e := c.get([]byte(key)); e != nil {
					c.undo(e)
				}
			case 3:
				end := rapid.IntRange(0, 10).Draw(t, "end")
				var written []*entry
				var states []store.Pair
				for _, e := range c.dirty {
					if int(e.last) < end || rapid.Bool().Draw(t, "an earlier item too") {
						written = append(written, e)
						states = append(states, store.Pair{Value: make([]byte, rapid.IntRange(0, 500).Draw(t, "size"))})
					}
				}
				c.settle(written, states, end)
				for _, e := range c.dirty {
					require.True(t, e.changed && int(e.last) >= end && c.entries[e.key] == e, "what is not committed stays")
				}
				require.True(t, b.used.Load() <= b.max || len(c.entries) == len(c.dirty))
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
