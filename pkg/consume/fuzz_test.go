package consume

import (
	"context"
	"slices"
	"strings"
	"testing"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// FuzzMessage reads a message of the log, whoever wrote it: all of it or nothing, and none of its events belongs to another
// shard.
func FuzzMessage(f *testing.F) {
	full := batch(one(1, "a"), one(2, "b"),
		sent{publisher: 2, generation: 1, floor: 1, events: []sentEvent{{seq: 1, key: "a"}, {seq: 9, key: "c", data: "x"}}})
	here := frame.Place{Epoch: 1, Shard: testShard}.String()
	f.Add("", "", "", "", full)
	f.Add("", "", "", "", full[:len(full)-1])
	f.Add("", "", "", "", full[5:])
	f.Add("", "", "", "", batch(one(1, "z")))
	f.Add("", "", "", "", batchFor(testShard+1, one(1, "a")))
	f.Add("", "", "", "", []byte(nil))
	f.Add(frame.KindEvent, here, "a", "paid", []byte(`{"amount":5}`))
	f.Add(frame.KindEvent, here, "z", "", []byte(nil))
	f.Add(frame.KindEvent, here, "", "", []byte("x"))
	f.Add(frame.KindEvent, "2.3", "a", "", []byte("x"))
	f.Add(frame.KindEvent, "", "a", "", []byte("x"))
	f.Add("end", here, "a", "", []byte(nil))
	f.Fuzz(func(t *testing.T, kind, place, key, typ string, data []byte) {
		r := testRound()
		r.owns = func(key []byte) bool { return key[len(key)-1] < 'p' }
		require.NoError(t, r.add(batchAt(1, one(1, "a"), one(2, "b"))))
		before := slices.Clone(r.items)
		bytes := r.bytes
		m := message{seq: 2, time: epochStart, data: data,
			header: nats.Header{frame.HeaderKind: {kind}, frame.HeaderPlace: {place}, frame.HeaderKey: {key}, frame.HeaderType: {typ}}}
		if r.add(m) != nil {
			require.Equal(t, before, r.items)
			require.Len(t, r.msgs, 1)
			require.Len(t, r.parts, 2)
			require.Equal(t, bytes, r.bytes)
			require.Zero(t, r.passed)
			return
		}
		if r.passed != (passed{}) {
			require.Equal(t, before, r.items)
			require.Equal(t, bytes, r.bytes)
			require.Equal(t, passed{foreign: r.passed.foreign, copies: 1 - r.passed.foreign, last: 2}, r.passed)
			require.Equal(t, r.passed.foreign == 1, kind == "" && !strings.HasPrefix(string(data), string(full[:5])))
			require.Equal(t, uint64(2), r.position(len(r.items), store.Position{}).Seq)
			return
		}
		require.Len(t, r.msgs, 2)
		require.Equal(t, before, r.items[:len(before)])
		added := r.items[len(before):]
		if kind == "" {
			require.LessOrEqual(t, len(added)*7, len(data)) // the shortest event has 7 bytes
		} else {
			require.Equal(t, frame.KindEvent, kind)
			require.Len(t, added, 1)
		}
		s := &shard{}
		for i := range added {
			it := &added[i]
			require.Equal(t, 1, it.msg)
			require.NoError(t, frame.CheckKey(it.key))
			require.True(t, r.owns(it.key))
			p := &r.parts[it.part]
			require.Equal(t, kind != "", p.plain)
			ev := s.event(r, it, p, string(it.key))
			require.NotEmpty(t, ev.ID())
			require.Equal(t, ev.ID(), func() string { again := s.event(r, it, p, string(it.key)); return again.ID() }())
			require.NotContains(t, ev.Headers(), frame.HeaderKind)
			require.NotContains(t, ev.Headers(), frame.HeaderPlace)
			if p.plain {
				require.Equal(t, string(data), string(ev.Data))
				require.Equal(t, typ, ev.Type)
			}
		}
		if len(added) > 0 || len(data) == 0 {
			require.Equal(t, uint64(2), r.position(len(r.items), store.Position{}).Seq)
		}
		r.reset()
		require.Empty(t, r.items)
	})
}

// FuzzState reads what the store has for a key.
func FuzzState(f *testing.F) {
	type account struct {
		Balance int64
		Events  uint64
		Names   map[string][]string
	}
	h := Typed(func(_ context.Context, _ *account, _ Event) error { return nil })
	b, err := h.Encode(nil, &account{Balance: -5, Events: 7, Names: map[string][]string{"a": {"b"}}})
	require.NoError(f, err)
	f.Add(b)
	f.Add(store.Envelope{Codec: store.CodecJSON, Schema: schemaVersion, Data: []byte(`null`)}.Append(nil))
	f.Add(store.Envelope{Codec: store.CodecJSON, Schema: schemaVersion, Data: []byte(`{"Balance":1e3}`)}.Append(nil))
	f.Add(store.Envelope{Codec: 64, Schema: 1, Data: []byte(`{}`)}.Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		state, err := h.Decode(b)
		if err != nil {
			require.Contains(t, err.Error(), "stored state")
			require.Nil(t, state)
			return
		}
		if b == nil {
			require.Equal(t, new(account), state)
		}
		again, err := h.Encode(nil, state)
		require.NoError(t, err)
		back, err := h.Decode(again)
		require.NoError(t, err)
		require.Equal(t, state, back)
		once, err := h.Encode(nil, back)
		require.NoError(t, err)
		require.Equal(t, again, once)
	})
}
