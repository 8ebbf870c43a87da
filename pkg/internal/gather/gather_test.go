package gather

import (
	"fmt"
	"strings"
	"testing"

	"example.com/lockstep/pkg/frame"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// event is an event of a test: its key and how large its data is.
type event struct {
	key  string
	size int
}

// encode makes a frame of a session, with seqs from floor on.
func encode(t require.TestingT, s frame.Session, floor uint64, events ...event) []byte {
	b := frame.AppendHeader(nil, s, floor)
	for i, e := range events {
		d, err := frame.NewDraft(e.key, make([]byte, e.size), "", nil, false)
		require.NoError(t, err)
		b = frame.AppendEvent(b, d, floor+uint64(i))
	}
	return b
}

// place is where an event of a test came from: the frame, which is its session's generation, and its seq.
type place struct{ frame, seq uint64 }

// gathering is a gather, with the frames and batches of a test.
type gathering struct {
	*Gather
	term     uint64
	valid    bool      // the permit
	arrived  [][]place // by shard: the events of the accepted frames
	left     [][]place // by shard: the events of the batches that left
	underWay map[int]*Batch
	frames   map[string]*known // by reply
	bytes    int
}

// known is an accepted frame as a test expects it.
type known struct {
	term     uint64
	waiting  int // parts of which the batch has not ended
	failed   bool
	answered int
}

func newGathering(shards, maxBatch, maxBytes int) *gathering {
	shardOf := func(key []byte) int { return int(key[0]) % shards }
	return &gathering{
		Gather: New(3, shards, shardOf, maxBatch, maxBytes), term: 1, valid: true,
		arrived: make([][]place, shards), left: make([][]place, shards), underWay: make(map[int]*Batch), frames: make(map[string]*known),
	}
}

// partSizes is how many bytes the frame adds to each shard's batch.
func (g *gathering) partSizes(fr *frame.Frame) map[int]int {
	events := make(map[int]int)
	for _, e := range fr.Events {
		events[g.shardOf(e.Key)] += len(e.Raw)
	}
	for shard, n := range events {
		events[shard] = frame.PartSize(fr.Header, n)
	}
	return events
}

func (g *gathering) take(t require.TestingT, number uint64, events []event) {
	var fr frame.Frame
	require.NoError(t, fr.Decode(encode(t, frame.Session{Publisher: frame.PublisherID{1}, Generation: number, Birth: 1}, 1, events...)))
	parts, total := g.partSizes(&fr), 0
	for _, n := range parts {
		total += n + frameOverhead
	}
	reply := fmt.Sprint(number)
	leave, ok := g.Add(&fr, reply, g.term, nil)
	require.Equal(t, g.bytes == 0 || g.bytes+total <= g.maxBytes, ok)
	if !ok {
		require.Empty(t, leave)
		return
	}
	g.bytes += total
	g.frames[reply] = &known{term: g.term, waiting: len(parts)}
	for _, e := range fr.Events {
		shard := g.shardOf(e.Key)
		g.arrived[shard] = append(g.arrived[shard], place{number, e.Seq})
	}
	for _, b := range leave {
		g.leaves(t, b)
	}
}

// leaves checks a batch that is to be published.
func (g *gathering) leaves(t require.TestingT, b *Batch) {
	require.NotContains(t, g.underWay, b.Shard, "two batches of shard %d under way", b.Shard)
	g.underWay[b.Shard] = b
	require.EqualValues(t, 3, b.Epoch)
	at, data, err := frame.ReadMark(b.Data)
	require.NoError(t, err)
	require.Equal(t, frame.Place{Epoch: 3, Shard: b.Shard}, at)
	require.Len(t, data, b.size)
	require.True(t, b.size <= g.maxBatch || len(b.frames) == 1, "%d parts of %d bytes in all", len(b.frames), b.size)
	for _, p := range b.frames {
		require.Equal(t, b.term, p.term)
	}
	events, parts := 0, 0
	var part frame.Frame
	require.NoError(t, frame.Parts(data, &part, func(fr *frame.Frame) error {
		require.EqualValues(t, 1, fr.Floor)
		require.Equal(t, fmt.Sprint(fr.Session.Generation), b.frames[parts].Reply)
		parts++
		for _, e := range fr.Events {
			require.Equal(t, b.Shard, g.shardOf(e.Key))
			g.left[b.Shard] = append(g.left[b.Shard], place{fr.Session.Generation, e.Seq})
			events++
		}
		return nil
	}))
	require.Equal(t, len(b.frames), parts)
	require.Equal(t, b.Events, events)
}

// ends a batch in flight and checks which frames are answered.
func (g *gathering) ends(t require.TestingT, b *Batch, stored bool) {
	delete(g.underWay, b.Shard)
	g.bytes -= b.size + frameOverhead*len(b.frames)
	clear(b.Data) // as the router does: what is published is another batch's soon
	g.Reuse(b.Data)
	b.Data = nil
	require.LessOrEqual(t, g.spareBytes, maxSpare)
	var answered []*Pending
	var next *Batch
	unacknowledged := 0
	if stored {
		answered, unacknowledged, next = g.Stored(b, g.term, g.valid, nil)
	} else {
		answered, next = g.Failed(b, nil)
	}
	for _, p := range b.frames {
		k := g.frames[p.Reply]
		k.waiting--
		k.failed = k.failed || !stored
		if k.waiting == 0 && !k.failed && (!g.valid || k.term != g.term) {
			k.answered++ // told to nobody
			unacknowledged--
		}
	}
	require.Zero(t, unacknowledged)
	for _, p := range answered {
		k := g.frames[p.Reply]
		k.answered++
		require.True(t, !stored || g.valid && k.term == g.term, "told without a permit, or in another term of it")
		require.Equal(t, stored, k.waiting == 0 && !k.failed, "frame %s: answered that stored is %t, with %d parts to come", p.Reply, stored, k.waiting)
	}
	if next != nil {
		g.leaves(t, next)
	}
}

func (g *gathering) check(t require.TestingT) {
	require.Equal(t, g.bytes, g.Gather.bytes)
	require.Equal(t, g.bytes, g.Held())
	for shard, left := range g.left {
		require.Equal(t, g.arrived[shard][:len(left)], left, "shard %d: not as it arrived", shard)
		require.True(t, len(left) == len(g.arrived[shard]) || g.underWay[shard] != nil, "shard %d waits for nothing", shard)
	}
	for reply, k := range g.frames {
		want := 0
		if k.failed || k.waiting == 0 {
			want = 1
		}
		require.Equal(t, want, k.answered, "answers to frame %s", reply)
	}
}

func TestGatherRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newGathering(rapid.IntRange(1, 5).Draw(t, "shards"), 500, rapid.SampledFrom([]int{700, 3000, 1 << 20}).Draw(t, "maxBytes"))
		number := uint64(0)
		events := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) event {
			return event{rapid.StringMatching("[a-h]{1,3}").Draw(t, "key"), rapid.SampledFrom([]int{0, 1, 50, 127, 128, 400, 600}).Draw(t, "size")}
		}), 1, 8)
		any := func(t *rapid.T) *Batch {
			var shards []int
			for shard := range len(g.shards) {
				if g.underWay[shard] != nil {
					shards = append(shards, shard)
				}
			}
			if len(shards) == 0 {
				t.Skip("nothing is under way")
			}
			return g.underWay[rapid.SampledFrom(shards).Draw(t, "shard")]
		}
		t.Repeat(map[string]func(*rapid.T){
			"frame":     func(t *rapid.T) { number++; g.take(t, number, events.Draw(t, "events")) },
			"stored":    func(t *rapid.T) { g.ends(t, any(t), true) },
			"failed":    func(t *rapid.T) { g.ends(t, any(t), false) },
			"new term":  func(*rapid.T) { g.term++; g.valid = true },
			"no permit": func(*rapid.T) { g.valid = false },
			"":          func(t *rapid.T) { g.check(t) },
		})
		for len(g.underWay) > 0 {
			g.ends(t, any(t), true)
		}
		g.check(t)
		require.Zero(t, g.Gather.bytes)
		require.Equal(t, g.arrived, g.left)
	})
}

func TestGatherGrowsBatchesWithTheLoad(t *testing.T) {
	g := newGathering(2, 1<<20, 1<<20)
	for i := range 100 {
		g.take(t, uint64(i+1), []event{{"a", 10}})
	}
	first := g.underWay[1]
	require.Equal(t, 1, first.Events)
	g.ends(t, first, true)
	require.Equal(t, 99, g.underWay[1].Events)
	g.ends(t, g.underWay[1], true)
	g.check(t)
	require.PanicsWithValue(t, "batch of shard 1 ended twice", func() { g.Stored(first, 1, true, nil) })
}

// Plain events share the bound with frames.
func TestGatherReserves(t *testing.T) {
	g := newGathering(1, 500, 1000)
	require.True(t, g.Reserve(5000), "one that is larger is let in alone")
	require.False(t, g.Reserve(1))
	g.Release(5000)
	require.True(t, g.Reserve(900))
	var fr frame.Frame
	require.NoError(t, fr.Decode(encode(t, frame.Session{Publisher: frame.PublisherID{1}, Generation: 1, Birth: 1}, 1, event{strings.Repeat("k", 90), 10})))
	_, ok := g.Add(&fr, "", 1, nil)
	require.False(t, ok)
	require.Positive(t, g.Held())
	g.Release(900)
	require.Zero(t, g.Held())
}
