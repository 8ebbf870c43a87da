package gather

import (
	"fmt"
	"testing"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/ring"
	"github.com/stretchr/testify/require"
)

// BenchmarkGather takes frames of 128-byte events for 16 shards. A shard's batch is stored when 16 frames have come, so
// that batches grow as they do under load.
func BenchmarkGather(b *testing.B) {
	ids := make([]int, 16)
	for i := range ids {
		ids[i] = i
	}
	r, err := ring.New(ids)
	require.NoError(b, err)
	for _, events := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			var fr frame.Frame
			some := make([]event, events)
			for i := range some {
				some[i] = event{fmt.Sprint("key-", i*7919), 128}
			}
			require.NoError(b, fr.Decode(encode(b, frame.Session{Publisher: frame.PublisherID{1}, Generation: 1, Birth: 1}, 1, some...)))
			g := New(1, 16, r.ShardBytes, 1<<20-4096, 64<<20)
			var under, leave []*Batch
			var done []*Pending
			frames := 0
			b.ReportAllocs()
			for b.Loop() {
				leave, _ = g.Add(&fr, "reply", 1, leave[:0])
				under = append(under, leave...)
				if frames++; frames%16 == 0 {
					stored := under
					under = nil
					for _, s := range stored {
						var next *Batch
						if done, _, next = g.Stored(s, 1, true, done[:0]); next != nil {
							under = append(under, next)
						}
					}
				}
			}
			b.ReportMetric(float64(frames*events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
