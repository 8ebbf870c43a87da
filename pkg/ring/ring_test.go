package ring

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// count returns the ids 0 to n-1.
func count(n int) []int {
	shards := make([]int, n)
	for i := range shards {
		shards[i] = i
	}
	return shards
}

func build(t require.TestingT, shards []int) *Ring {
	r, err := New(shards)
	require.NoError(t, err)
	return r
}

func keys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "key-" + strconv.Itoa(i)
	}
	return keys
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		shards []int
		want   error
		text   string
	}{
		"none":      {nil, ErrNoShards, "at least one"},
		"negative":  {[]int{0, -1}, ErrShardRange, "0 to 65535: -1"},
		"too large": {[]int{65536}, ErrShardRange, "0 to 65535: 65536"},
		"twice":     {[]int{3, 4, 3}, ErrShardTwice, "twice: 3"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(c.shards)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.text)
		})
	}
}

func TestOneShardOwnsEverything(t *testing.T) {
	for _, id := range []int{0, 7, MaxShard} {
		r := build(t, []int{id})
		for _, key := range append(keys(1000), "", "\xff") {
			require.Equal(t, id, r.Shard(key))
		}
	}
}

func TestShardsAreACopyInOrder(t *testing.T) {
	r := build(t, []int{9, 2, 5})
	got := r.Shards()
	require.Equal(t, []int{2, 5, 9}, got)
	got[0] = 100
	require.Equal(t, []int{2, 5, 9}, r.Shards())
}

func TestEqual(t *testing.T) {
	r := build(t, []int{1, 2, 3})
	require.True(t, r.Equal(build(t, []int{3, 1, 2})))
	require.False(t, r.Equal(build(t, []int{1, 2})))
	require.False(t, r.Equal(build(t, []int{1, 2, 4})))
}

// TestOwnerIsNextPoint holds the table against a search of all points, at hashes on,
// before and after them.
func TestOwnerIsNextPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shards := rapid.SliceOfNDistinct(rapid.IntRange(0, MaxShard), 1, 20, rapid.ID).Draw(t, "shards")
		r := build(t, shards)
		require.True(t, slices.IsSorted(r.table))
		points := points(salt, shards)

		for range 10 {
			hash := rapid.Uint64().Draw(t, "hash")
			if rapid.Bool().Draw(t, "near a point") {
				i := rapid.IntRange(0, len(points)-1).Draw(t, "point")
				off := rapid.Int64Range(-1, 1).Draw(t, "off")<<32 + rapid.Int64Range(-1, 1).Draw(t, "low")
				hash = points[i] + uint64(off)
			}
			i, _ := slices.BinarySearch(points, hash&positionMask)
			want := points[i%len(points)] &^ positionMask
			require.Equal(t, int(want), r.owner(hash))
		}
	})
}

func TestBytesAndStringAgree(t *testing.T) {
	r := build(t, count(16))
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 0, 512).Draw(t, "key")
		require.Equal(t, r.Shard(string(key)), r.ShardBytes(key))
	})
}

func TestLookupAllocatesNothing(t *testing.T) {
	r := build(t, count(16))
	key, bytes := "some key of a common length", []byte("some key of a common length")
	require.Zero(t, testing.AllocsPerRun(1000, func() { r.Shard(key); r.ShardBytes(bytes) }))
}

func TestPeakOverAverage(t *testing.T) {
	const total = 1_000_000
	for _, form := range []string{"key-%d", "user:%08d:cart"} {
		t.Run(form, func(t *testing.T) {
			r := build(t, count(16))
			owned := make([]int, 16)
			for i := range total {
				owned[r.Shard(fmt.Sprintf(form, i))]++
			}
			peak := float64(slices.Max(owned)) * 16 / total
			require.LessOrEqual(t, peak, 1.05, "keys of each shard: %v", owned)
		})
	}
}

// TestResizeMovesFewKeys checks both directions of one step between n shards and all
// of them but one: seen forwards that one is removed, seen backwards it is added.
func TestResizeMovesFewKeys(t *testing.T) {
	sample := keys(20_000)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 64).Draw(t, "n")
		changed := rapid.IntRange(0, n-1).Draw(t, "changed")
		with, without := build(t, count(n)), build(t, slices.Delete(count(n), changed, changed+1))

		moved := 0
		for _, key := range sample {
			before, after := without.Shard(key), with.Shard(key)
			if before == after {
				continue
			}
			moved++
			require.Equal(t, changed, after, "key %s moved between shards %d and %d", key, before, after)
		}
		most := 1/float64(n) + 0.01
		require.LessOrEqual(t, float64(moved)/float64(len(sample)), most)
	})
}

// TestResizeOfAnyIDs is the same with ids from the whole range, for which who gains
// and who loses holds as well, but not how many keys move.
func TestResizeOfAnyIDs(t *testing.T) {
	sample := keys(1_000)
	rapid.Check(t, func(t *rapid.T) {
		larger := rapid.SliceOfNDistinct(rapid.IntRange(0, MaxShard), 2, 20, rapid.ID).Draw(t, "shards")
		with, without := build(t, larger), build(t, larger[1:])
		for _, key := range sample {
			if before, after := without.Shard(key), with.Shard(key); before != after {
				require.Equal(t, larger[0], after)
			}
		}
	})
}
