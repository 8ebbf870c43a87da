package consume

import (
	"slices"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// The position is the last message with nothing uncommitted in it or before it.
func TestPosition(t *testing.T) {
	two := sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{{seq: 8, key: "a"}, {seq: 9, key: "b"}}}
	r := roundOf(t,
		batchAt(4, one(1, "a")), batchAt(6, two), message{seq: 7, time: epochStart, data: []byte("foreign")},
		batchAt(9, one(10, "a"), two), plainAt(12, "p", "x"), batchAt(13))
	require.Len(t, r.items, 7)
	before := store.Position{Epoch: 1, Seq: 3}
	for end, want := range []uint64{3, 4, 4, 7, 7, 7, 9, 13} { // end 6 is the plain event, and batch 13 is empty
		require.Equal(t, want, r.position(end, before).Seq, "%d events committed", end)
	}
	require.True(t, r.position(7, before).Time.Equal(r.msgs[5].time))
	require.Equal(t, before, new(round).position(0, before))
}

func TestUnreadableMessages(t *testing.T) {
	here := frame.Place{Epoch: 1, Shard: testShard}.String()
	for name, m := range map[string]message{
		"a mark only":    {seq: 2, data: batch()[:5]},
		"another format": {seq: 2, data: append(slices.Clone(batch()[:6]), append([]byte{9}, batch(one(1, "a"))[7:]...)...)},
		"a bad frame":    {seq: 2, data: batch(sent{publisher: 1, generation: 1, floor: 5, events: []sentEvent{{seq: 4, key: "a"}}})},
		"half a batch":   {seq: 2, data: batch(one(1, "a"), one(2, "b"))[:60]},
		"unknown kind":   {seq: 2, header: nats.Header{frame.HeaderKind: {"rocket"}, frame.HeaderPlace: {here}}},
		"no place":       {seq: 2, header: nats.Header{frame.HeaderKind: {frame.KindEvent}, frame.HeaderKey: {"a"}}},
		"no key":         {seq: 2, header: nats.Header{frame.HeaderKind: {frame.KindEvent}, frame.HeaderPlace: {here}}},
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

// What no router stored in this log is passed over, and is part of the position.
func TestForeignMessages(t *testing.T) {
	another := plainHeader(testShard+1, "a")
	for name, c := range map[string]struct {
		m    message
		want passed
	}{
		"text":                  {message{data: []byte("hello")}, passed{foreign: 1}},
		"nothing":               {message{}, passed{foreign: 1}},
		"a server's answer":     {message{data: []byte(`{"type":"io.nats.jetstream.api.v1.stream_info_response"}`)}, passed{foreign: 1}},
		"a frame":               {message{data: batch(one(1, "a"))[13:]}, passed{foreign: 1}},
		"headers but no kind":   {message{data: []byte("x"), header: nats.Header{"Key": {"a"}}}, passed{foreign: 1}},
		"another shard's batch": {message{data: batchFor(testShard+1, one(1, "a"))}, passed{copies: 1}},
		"another epoch's batch": {message{data: frame.AppendMark(nil, frame.Place{Epoch: 2, Shard: testShard})}, passed{copies: 1}},
		"another shard's event": {message{data: []byte("x"), header: another}, passed{copies: 1}},
		"another shard's end":   {message{header: nats.Header{"Kind": {"end"}, frame.HeaderPlace: another[frame.HeaderPlace]}}, passed{copies: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			r := roundOf(t, batchAt(1, one(1, "a"), one(2, "b")))
			bytes := r.bytes
			c.m.seq, c.want.last = 7, 7
			require.NoError(t, r.add(c.m))
			require.Equal(t, c.want, r.passed)
			require.Len(t, r.items, 2)
			require.Equal(t, bytes, r.bytes, "it is not kept")
			require.Equal(t, uint64(7), r.position(2, store.Position{}).Seq)
			r.reset()
			require.Zero(t, r.passed)
		})
	}
}

func TestPassedOverIsSaidOnceAMinute(t *testing.T) {
	var p foreignLog
	now := time.Now()
	say, due := p.add(passed{foreign: 1, last: 5}, now)
	require.True(t, due)
	require.Equal(t, passed{foreign: 1, last: 5}, say)
	for i := range 59 {
		_, due = p.add(passed{foreign: 2, copies: 1, last: uint64(6 + i)}, now.Add(time.Duration(i+1)*time.Second))
		require.False(t, due)
	}
	say, due = p.add(passed{copies: 1, last: 90}, now.Add(time.Minute))
	require.True(t, due)
	require.Equal(t, passed{foreign: 118, copies: 60, last: 90}, say)
}

func TestRoundIsReused(t *testing.T) {
	r := roundOf(t, batchAt(1, one(1, "a")), plainAt(2, "b", "x"))
	r.reset()
	require.True(t, r.done())
	require.Zero(t, r.bytes)
	require.NoError(t, r.add(plainAt(3, "c", "y")))
	require.Equal(t, "c", string(r.items[0].key))
}

// anyKey makes a round take the keys of every shard.
func anyKey([]byte) bool { return true }
