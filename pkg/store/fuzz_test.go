package store

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func FuzzPosition(f *testing.F) {
	for _, p := range []Position{
		{}, {Epoch: 1}, {Epoch: 2, Seq: 77, Time: time.Unix(0, 1_700_000_000_123_456_789)},
		{Epoch: 1<<63 - 1, Seq: 1<<63 - 1, Time: time.Unix(0, 1<<63-1)},
	} {
		f.Add(p.String())
	}
	f.Add("1 2 3 4")
	f.Add("-1 +2 0x3")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePosition(s)
		if err != nil {
			require.Contains(t, err.Error(), "position ")
			require.Equal(t, Position{}, p)
			return
		}
		if p.Epoch == 0 && p.Seq == 0 {
			p.Time = time.Time{} // that of no message is not kept
		}
		back, err := ParsePosition(p.String())
		require.NoError(t, err)
		require.Equal(t, p, back)
	})
}

func FuzzEnvelope(f *testing.F) {
	f.Add(Envelope{Codec: CodecJSON, Schema: 1, Data: []byte(`{"Balance":5}`)}.Append(nil))
	f.Add(Envelope{Codec: 1<<64 - 1, Schema: 1 << 63}.Append(nil))
	f.Add([]byte{0x81, 0x00, 0x80, 0x80, 0x00, 'x'}) // longer than need be
	f.Add([]byte{1, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEnvelope(b)
		if err != nil {
			require.ErrorContains(t, err, "stored state has no ")
			require.Equal(t, Envelope{}, e)
			return
		}
		require.True(t, strings.HasSuffix(string(b), string(e.Data)))
		back, err := DecodeEnvelope(e.Append(nil))
		require.NoError(t, err)
		require.Equal(t, e.Codec, back.Codec)
		require.Equal(t, e.Schema, back.Schema)
		require.Equal(t, string(e.Data), string(back.Data))
	})
}

func FuzzState(f *testing.F) {
	f.Add(Envelope{Codec: CodecJSON, Schema: 1, Data: []byte("{}")}.Append(Proof{Count: 300, Chain: 1 << 63, Dropped: 2}.Append(nil)))
	f.Add(Proof{Count: 1<<64 - 1, Chain: 1<<64 - 1, Dropped: 1<<64 - 1}.Append(nil))
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, envelope, err := SplitState(b)
		if err != nil {
			require.ErrorContains(t, err, "stored state has no ")
			require.Equal(t, Proof{}, p)
			return
		}
		require.True(t, strings.HasSuffix(string(b), string(envelope)))
		back, same, err := SplitState(append(p.Append(nil), envelope...))
		require.NoError(t, err)
		require.Equal(t, p, back)
		require.Equal(t, string(envelope), string(same))
	})
}
