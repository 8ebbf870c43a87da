package consume

import (
	"testing"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// The position is the last message with nothing uncommitted in it or before it.
func TestPosition(t *testing.T) {
	two := sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{{seq: 8, key: "a"}, {seq: 9, key: "b"}}}
	r := roundOf(t, batchAt(4, one(1, "a")), batchAt(6, two), message{seq: 7, time: epochStart}, batchAt(9, one(10, "a"), two), plainAt(12, "p", "x"), batchAt(13))
	require.Len(t, r.items, 7)
	before := store.Position{Epoch: 1, Seq: 3}
	for end, want := range []uint64{3, 4, 4, 7, 7, 7, 9, 13} { // end 6 is the plain event, and batch 13 is empty
		require.Equal(t, want, r.position(end, before).Seq, "%d events committed", end)
	}
	require.True(t, r.position(7, before).Time.Equal(r.msgs[5].time))
	require.Equal(t, before, new(round).position(0, before))
}

func TestForeignMessages(t *testing.T) {
	for name, m := range map[string]message{
		"no batch":       {seq: 2, data: []byte("hello")},
		"a bad frame":    {seq: 2, data: batch(sent{publisher: 1, generation: 1, floor: 5, events: []sentEvent{{seq: 4, key: "a"}}})},
		"half a batch":   {seq: 2, data: batch(one(1, "a"), one(2, "b"))[:40]},
		"unknown kind":   {seq: 2, header: nats.Header{frame.HeaderKind: {"rocket"}}},
		"no key":         {seq: 2, header: nats.Header{frame.HeaderKind: {frame.KindEvent}}},
		"good, then bad": {seq: 2, data: append(batch(one(1, "a")), "garbage"...)},
	} {
		t.Run(name, func(t *testing.T) {
			r := roundOf(t, batchAt(1, one(1, "a"), one(2, "b")))
			require.Error(t, r.add(m))
			require.Equal(t, roundOf(t, batchAt(1, one(1, "a"), one(2, "b"))).items, r.items, "those before it stay, and nothing of it")
			require.Len(t, r.msgs, 1)
			require.Len(t, r.parts, 2)
		})
	}
}

func TestRoundIsReused(t *testing.T) {
	r := roundOf(t, batchAt(1, one(1, "a")), plainAt(2, "b", "x"))
	require.Equal(t, map[receiptTo][]uint64{{frame.PublisherID{1}, 1}: {1}}, r.askedReceipts())
	r.reset()
	require.True(t, r.done())
	require.Zero(t, r.bytes)
	require.Empty(t, r.askedReceipts())
	require.NoError(t, r.add(plainAt(3, "c", "y")))
	require.Equal(t, "c", string(r.items[0].key))
}

// anyKey makes a round take the keys of every shard.
func anyKey([]byte) bool { return true }
