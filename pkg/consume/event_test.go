package consume

import (
	"context"
	"testing"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/store/storetest"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// seen are the events of a round as a handler gets them, each twice: from the log, and from the list that it was set aside to.
func seen(t *testing.T, msgs ...message) (out []Event) {
	t.Helper()
	s := claim(t, storetest.NewMemory(), &budget{max: 1 << 20})
	r := roundOf(t, msgs...)
	for i := range r.items {
		it := &r.items[i]
		kept := s.asideEvent(r, it)
		again, err := aside.DecodeEvent(kept.Append(nil))
		require.NoError(t, err)
		out = append(out, s.event(r, it, &r.parts[it.part], string(it.key)), s.listed(string(it.key), &again))
	}
	return out
}

func TestEventIDs(t *testing.T) {
	other := one(1, "a")
	other.publisher = 2
	events := seen(t, batchAt(5, one(1, "a"), one(2, "a"), other), plainAt(6, "a", "x"), plainAt(7, "a", "x"))
	require.Len(t, events, 10)
	all := make(map[string]int)
	for i := 0; i < len(events); i += 2 {
		require.Equal(t, events[i].ID(), events[i+1].ID(), "the same on every attempt")
		all[events[i].ID()]++
	}
	require.Len(t, all, 5, "no other event's")
	require.Equal(t, frame.PublisherID{1}.String()+"-1", events[0].ID())
	require.Equal(t, "1-3-6", events[6].ID())
}

func TestEventsOfFramesAndPlainOnes(t *testing.T) {
	plain := plainAt(8, "k", "data")
	plain.header["My-Header"] = []string{"mine"}
	plain.header[nats.MsgIdHdr] = []string{"id"}
	plain.header[frame.HeaderType] = []string{"kind"}
	bare := plainAt(9, "k", "")
	events := seen(t, batchAt(7, sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{{seq: 1, key: "k", data: "data"}}}), plain, bare)
	for i := range 4 {
		ev, headers := events[i], map[string]string{"from": "test"}
		if i >= 2 {
			headers = map[string]string{"My-Header": "mine"}
		}
		require.Equal(t, "k", ev.Key)
		require.Equal(t, "data", string(ev.Data))
		require.Equal(t, "kind", ev.Type)
		require.Equal(t, headers, ev.Headers())
		require.Equal(t, testShard, ev.Shard)
		require.Equal(t, uint64(1), ev.Fence)
		require.True(t, ev.Time.Equal(epochStart.Add(time.Duration(7+i/2)*time.Second)), "the log's time")
	}
	require.Nil(t, events[4].Headers())
	require.Empty(t, events[4].Type)
	require.Nil(t, events[5].Headers())
}

func TestTypedReadsOnlyItsOwnStates(t *testing.T) {
	h := collect(nil)
	state, err := h.Decode(nil)
	require.NoError(t, err)
	require.Empty(t, *state.(*ids), "a fresh one")
	b, err := h.Encode(nil, &ids{"x"})
	require.NoError(t, err)
	state, err = h.Decode(b)
	require.NoError(t, err)
	require.Equal(t, ids{"x"}, *state.(*ids))
	for says, bad := range map[string][]byte{
		"no codec":            {},
		"codec 64":            store.Envelope{Codec: 64, Schema: 1}.Append(nil),
		"schema 2":            store.Envelope{Codec: store.CodecJSON, Schema: 2}.Append(nil),
		"decode stored state": store.Envelope{Codec: store.CodecJSON, Schema: 1, Data: []byte("{")}.Append(nil),
	} {
		_, err := h.Decode(bad)
		require.ErrorContains(t, err, says)
	}
	_, err = Typed(func(context.Context, *chan int, Event) error { return nil }).Encode(nil, new(chan int))
	require.ErrorContains(t, err, "encode state")
}

func TestNewEvent(t *testing.T) {
	ev := NewEvent("id-1", "alice", []byte("5"), map[string]string{"a": "b"})
	require.Equal(t, "id-1", ev.ID())
	require.Equal(t, "b", ev.Headers()["a"])
	require.Equal(t, "alice", ev.Key)
	require.Equal(t, "5", string(ev.Data))
}
