package ring

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// points returns all points of the shards in order.
func points(salt int, shards []int) []uint64 {
	points := make([]uint64, 0, len(shards)*VirtualNodes)
	for _, shard := range shards {
		for node := range VirtualNodes {
			points = append(points, point(salt, shard, node))
		}
	}
	slices.Sort(points)
	return points
}

// peak returns the largest share of the ring of shards 0 to n-1 in units of the
// average, from the sorted points of these shards and any more.
func peak(points []uint64, n int) float64 {
	const circle = 1 << 32
	arcs := make([]uint64, n)
	first, last, owner := uint64(circle), uint64(0), 0
	for _, p := range points {
		position, shard := p>>32, int(uint32(p))
		if shard >= n {
			continue
		}
		if first == circle {
			first, owner = position, shard
		} else {
			arcs[shard] += position - last
		}
		last = position
	}
	arcs[owner] += circle - last + first
	return float64(slices.Max(arcs)) / circle * float64(n)
}

// highestPeak is the limit that salt was searched for.
func highestPeak(n int) float64 {
	switch few := 1 + 0.008*float64(n); {
	case n <= 16:
		return min(few, 1.04)
	case n <= 64:
		return min(few, 1.05)
	default:
		return 1.07
	}
}

// allCounts are the numbers of shards whose rings must be even, in ascending order.
var allCounts = append(count(65)[1:], 128, 256, 512, 1024)

// uneven names the first ring of a salt that is less even than promised, if any.
func uneven(salt int, counts []int) string {
	var sorted []uint64
	shards := 0
	for _, n := range counts {
		if n > shards {
			shards = max(n, 2*shards)
			sorted = points(salt, count(shards))
		}
		if got := peak(sorted, n); got > highestPeak(n) {
			return fmt.Sprintf("%d shards: peak %.4f x the average, may be %.4f", n, got, highestPeak(n))
		}
	}
	return ""
}

func TestSharesAreEven(t *testing.T) {
	require.Empty(t, uneven(salt, allCounts))
}

// TestPeakOfKnownArcs checks the measure itself on a ring one can see through.
func TestPeakOfKnownArcs(t *testing.T) {
	at := func(position, shard uint64) uint64 { return position<<32 | shard }
	quarter := uint64(1 << 30)
	ring := []uint64{at(quarter/2, 1), at(quarter, 0), at(2*quarter, 2), at(3*quarter, 1)}
	require.Equal(t, 3*0.625, peak(ring, 3)) // shard 1: from quarter 2 to 3, and on to quarter 1/2
	require.Equal(t, 2*0.875, peak(ring, 2)) // shard 2 left out: from quarter 1 to 1/2
	require.Equal(t, 1.0, peak(ring, 1))
}
