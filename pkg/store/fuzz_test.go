package store

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func FuzzPosition(f *testing.F) {
	for _, p := range []Position{{}, {Epoch: 1}, {Epoch: 2, Seq: 77, Time: time.Unix(0, 1_700_000_000_123_456_789)}, {Epoch: 1<<63 - 1, Seq: 1<<63 - 1, Time: time.Unix(0, 1<<63-1)}} {
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

// FuzzRecord reads a shard's hash, one field after another as Redis returns them.
func FuzzRecord(f *testing.F) {
	whole := []string{
		fieldFence, "7", fieldVersion, string(NewVersion()), fieldPosition, "1 2 1700000000123456789", fieldSince, "1",
		fieldLate, "3", fieldLateLast, "publisher x", dedupPrefix + "00ff", "\x01\x02", "a later version's", "x",
	}
	f.Add(strings.Join(whole, "\n"))
	for i := 0; i < len(whole); i += 2 {
		f.Add(whole[i] + "\n" + whole[i+1])
		f.Add(whole[i] + "\n-1")
	}
	f.Fuzz(func(t *testing.T, all string) {
		fields := strings.Split(all, "\n")
		rec := Record{Dedup: make(map[string][]byte)}
		for i := 0; i+1 < len(fields); i += 2 {
			field, value := fields[i], fields[i+1]
			before := rec
			before.Dedup = nil
			n := len(rec.Dedup)
			if rec.set(field, value) != nil {
				return // the claim fails
			}
			switch publisher, is := strings.CutPrefix(field, dedupPrefix); {
			case is:
				require.Equal(t, value, string(rec.Dedup[publisher]))
				n = len(rec.Dedup)
			case field == fieldPosition:
				want, err := ParsePosition(value)
				require.NoError(t, err)
				require.Equal(t, want, rec.Position)
			case field == fieldVersion:
				require.Equal(t, value, string(rec.Version))
			case field == fieldLateLast:
				require.Equal(t, value, rec.LateLast)
			case field != fieldFence && field != fieldSince && field != fieldLate:
				after := rec
				after.Dedup = nil
				require.Equal(t, before, after, "of a field that is not known")
			}
			require.Len(t, rec.Dedup, n)
		}
		require.LessOrEqual(t, len(rec.Dedup), len(fields)/2)
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
