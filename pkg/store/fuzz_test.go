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

// FuzzRecord reads a shard's fields, as Redis returns them.
func FuzzRecord(f *testing.F) {
	whole := []string{fieldFence, "7", fieldPosition, "1 2 1700000000123456789", fieldSince, "1", fieldLate, "3", fieldLateLast, "publisher x", "a later version's", "x"}
	f.Add(strings.Join(whole, "\n"))
	for i := 0; i < len(whole); i += 2 {
		f.Add(whole[i] + "\n" + whole[i+1])
		f.Add(whole[i] + "\n-1")
	}
	f.Fuzz(func(t *testing.T, all string) {
		fields := strings.Split(all, "\n")
		var rec Record
		for i := 0; i+1 < len(fields); i += 2 {
			field, value := fields[i], fields[i+1]
			before := rec
			if rec.set(field, value) != nil {
				return // the claim fails
			}
			switch {
			case field == fieldPosition:
				want, err := ParsePosition(value)
				require.NoError(t, err)
				require.Equal(t, want, rec.Position)
			case field == fieldLateLast:
				require.Equal(t, value, rec.LateLast)
			case field != fieldFence && field != fieldSince && field != fieldLate:
				require.Equal(t, before, rec, "of a field that is not known")
			}
		}
	})
}

// FuzzPage reads a page of publishers: no field counts twice, and what is no publisher's goes to nobody.
func FuzzPage(f *testing.F) {
	f.Add("fence\n7\ndedup:00ff\n\x01\x02\ndedup:00ff\n\x01\x02")
	f.Fuzz(func(t *testing.T, all string) {
		var page []any
		distinct := make(map[string]bool)
		fields := strings.Split(all, "\n")
		for i, field := range fields {
			page = append(page, field)
			if i%2 == 1 {
				distinct[fields[i-1]] = true
			}
		}
		got := make(map[string]bool)
		s := scan{others: make(map[string]bool), take: func(id string, _ []byte) (bool, error) {
			added := !got[id]
			got[id] = true
			return added, nil
		}}
		total, next, err := s.add([]any{int64(5), "12", page})
		require.NoError(t, err)
		require.Equal(t, 5, total)
		require.Equal(t, "12", next)
		require.Equal(t, len(distinct), s.added+len(s.others))
		require.Len(t, got, s.added)
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
