package measure

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPausesAreBoundedAndTheLongestKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOfN(rapid.IntRange(100, 100_000), rapid.SampledFrom([]int{0, maxPauses, 3 * maxPauses}).Draw(t, "at least"), 4*maxPauses).Draw(t, "lengths in ms")
		var all [2]Pauses
		for i, ms := range lengths {
			ps := &all[i%2]
			ps.Count++
			ps.add(Pause{Shard: i, From: time.Duration(i) * time.Second, To: time.Duration(i)*time.Second + time.Duration(ms)*time.Millisecond})
			require.LessOrEqual(t, len(ps.Longest), maxPauses)
		}
		all[0].Add(&all[1])
		require.EqualValues(t, len(lengths), all[0].Count)

		var kept []int
		for _, p := range all[0].Longest {
			kept = append(kept, int(p.Length()/time.Millisecond))
		}
		slices.Sort(kept)
		slices.Sort(lengths)
		require.True(t, slices.Equal(lengths[max(0, len(lengths)-maxPauses):], kept), "the longest are kept")
		require.True(t, slices.IsSortedFunc(all[0].InOrder(), func(a, b Pause) int { return int(a.From - b.From) }))
	})
}

func TestProgressFindsPauses(t *testing.T) {
	const ms = time.Millisecond
	p := NewProgress(2)
	var ps Pauses
	p.Received(0, 0, 5*ms, &ps)
	p.Received(0, 10*ms, 104*ms, &ps)
	require.Zero(t, ps.Count, "99 ms are not long enough")
	p.Received(1, 50*ms, 150*ms, &ps)
	require.Equal(t, []Pause{{Shard: 1, From: 50 * ms, To: 150 * ms}}, ps.InOrder(), "from when it was due: before, nothing was")
	p.Received(0, 500*ms, 505*ms, &ps)
	require.EqualValues(t, 1, ps.Count, "nothing was due in between")
	p.Received(0, 510*ms, 800*ms, &ps)
	p.Received(0, 511*ms, 801*ms, &ps)
	require.Equal(t, Pause{Shard: 0, From: 510 * ms, To: 800 * ms}, ps.InOrder()[1], "once, however many events waited")
	p.Received(0, 520*ms, 950*ms, &ps)
	require.Equal(t, Pause{Shard: 0, From: 801 * ms, To: 950 * ms}, ps.InOrder()[2], "from the last receipt")
	require.Equal(t, 149*ms, ps.InOrder()[2].Length())
}
