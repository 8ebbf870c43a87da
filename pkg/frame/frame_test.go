package frame

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"example.com/lockstep/pkg/frame/framepb"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

var testSession = Session{Publisher: PublisherID{1, 2, 3}, Generation: 7, Birth: 1_700_000_000_123}

func testFrame(t require.TestingT, keys ...string) []byte {
	b := AppendHeader(nil, testSession, 3)
	for i, k := range keys {
		d, err := NewDraft(k, []byte("data-"+k), "typ", map[string]string{"h": k}, i == 0)
		require.NoError(t, err)
		b = AppendEvent(b, d, uint64(3+i))
	}
	return b
}

// What we write, generated code reads; what generated code writes, we read.
func TestFrameAgainstGeneratedCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := &framepb.Frame{
			Session: &framepb.Session{
				Publisher:  rapid.SliceOfN(rapid.ByteRange(1, 255), 16, 16).Draw(t, "publisher"),
				Generation: rapid.Uint64Min(1).Draw(t, "generation"),
				Birth:      rapid.Int64Range(1, 1<<60).Draw(t, "birth"),
			},
			Floor: rapid.Uint64Range(1, 1<<50).Draw(t, "floor"),
		}
		seq := want.Floor
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			e := &framepb.Event{
				Key:     rapid.StringMatching(`[a-zé]{1,40}`).Draw(t, "key"),
				Seq:     seq,
				Data:    rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "data"),
				Type:    rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "type"),
				Receipt: rapid.Bool().Draw(t, "receipt"),
			}
			if rapid.Bool().Draw(t, "headers") {
				e.Headers = map[string]string{"a": rapid.String().Draw(t, "a")}
			}
			want.Events = append(want.Events, e)
			seq += rapid.Uint64Range(1, 100).Draw(t, "gap")
		}
		theirs, err := proto.Marshal(want)
		require.NoError(t, err)
		var got Frame
		require.NoError(t, got.Decode(theirs))

		ours := AppendHeader(nil, got.Session, got.Floor)
		for i := range got.Events {
			e := &got.Events[i]
			d, err := NewDraft(string(e.Key), e.Data, string(e.Type), e.Headers(), e.Receipt)
			require.NoError(t, err)
			require.GreaterOrEqual(t, d.Size(), len(AppendEvent(nil, d, e.Seq)))
			ours = AppendEvent(ours, d, e.Seq)
		}
		var back framepb.Frame
		require.NoError(t, proto.Unmarshal(ours, &back))
		require.True(t, proto.Equal(want, &back), "%v\n%v", want, &back)

		// A batch of two parts, made as a router makes it.
		n := 0
		for i := range got.Events {
			n += len(got.Events[i].Raw)
		}
		at := Place{Epoch: rapid.Uint64().Draw(t, "epoch"), Shard: rapid.IntRange(0, 1<<31-1).Draw(t, "shard")}
		batch := AppendMark(nil, at)
		require.LessOrEqual(t, len(batch), MaxMarkBytes)
		for range 2 {
			before := len(batch)
			batch = AppendPart(batch, got.Header, n)
			for i := range got.Events {
				batch = append(batch, got.Events[i].Raw...)
			}
			require.Equal(t, PartSize(got.Header, n), len(batch)-before)
		}
		var b framepb.Batch
		require.NoError(t, proto.Unmarshal(batch, &b))
		require.Len(t, b.Parts, 2)
		require.True(t, proto.Equal(want, b.Parts[1]))
		require.EqualValues(t, markValue, b.Mark)
		require.EqualValues(t, batchFormat, b.Format)
		require.Equal(t, at, Place{b.Epoch, int(b.Shard)})
		place, rest, err := ReadMark(batch)
		require.NoError(t, err)
		require.Equal(t, at, place)
		parsed, err := ParsePlace(at.String())
		require.NoError(t, err)
		require.Equal(t, at, parsed)
		var part Frame
		parts := 0
		require.NoError(t, Parts(rest, &part, func(f *Frame) error {
			parts++
			require.Equal(t, got.Session, f.Session)
			require.Equal(t, len(got.Events), len(f.Events))
			return nil
		}))
		require.Equal(t, 2, parts)
	})
}

func TestAnswerAndReceiptAgainstGeneratedCode(t *testing.T) {
	a := Answer{Code: LogFull, Reason: "stream full", Retry: true, Seq: 1 << 40}
	var pa framepb.Answer
	require.NoError(t, proto.Unmarshal(a.Append(nil), &pa))
	require.Equal(t, framepb.Code_LOG_FULL, pa.Code)
	require.Equal(t, a.Reason, pa.Reason)
	require.True(t, pa.Retry)
	require.Equal(t, a.Seq, pa.Seq)
	back, err := DecodeAnswer(a.Append(nil))
	require.NoError(t, err)
	require.Equal(t, a, back)
	require.Equal(t, int(framepb.Code_SESSION_TOO_OLD), int(SessionTooOld))
	require.Len(t, codeNames, len(framepb.Code_name))

	r := Receipt{Generation: 2, Seqs: []uint64{1, 300, 1 << 40}}
	var pr framepb.Receipt
	require.NoError(t, proto.Unmarshal(r.Append(nil), &pr))
	require.Equal(t, r.Seqs, pr.Seqs)
	require.EqualValues(t, 2, pr.Generation)
	var rb Receipt
	require.NoError(t, rb.Decode(r.Append(nil)))
	require.Equal(t, r, rb)
}

func TestRefusals(t *testing.T) {
	event := func(key string, data []byte, seq uint64) []byte {
		b, err := proto.Marshal(&framepb.Event{Key: key, Data: data, Seq: seq})
		require.NoError(t, err)
		return b
	}
	frame := func(floor uint64, events ...[]byte) []byte {
		b := AppendHeader(nil, testSession, floor)
		for _, e := range events {
			b = append(b, 3<<3|2)
			b = appendVarint(b, uint64(len(e)))
			b = append(b, e...)
		}
		return b
	}
	short, err := proto.Marshal(&framepb.Frame{Session: &framepb.Session{Publisher: []byte{1}, Generation: 1}})
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		b    []byte
		want error
		says string
	}{
		{"empty", nil, ErrMalformed, "no session"},
		{"text", []byte(`{"amount":5}`), ErrMalformed, ""},
		{"cut short", testFrame(t, "a")[:30], ErrMalformed, "ends early"},
		{"another message", Answer{Code: Busy, Reason: "x"}.Append(nil), ErrMalformed, "wire type"},
		{"short publisher id", short, ErrMalformed, "publisher id has 1 bytes, not 16"},
		{"no events", frame(1), ErrMalformed, "no events"},
		{"no floor", frame(0, event("a", nil, 1)), ErrMalformed, "no floor"},
		{"no key", frame(1, event("", nil, 1)), ErrNoKey, "event 1"},
		{"long key", frame(1, event("a", nil, 1), event(strings.Repeat("k", 513), nil, 2)), ErrKeyTooLong, "513 bytes, at most 512"},
		{"key not UTF-8", frame(1, []byte{1<<3 | 2, 1, 0xff, 2 << 3, 1}), ErrKeyNotUTF8, ""},
		{"large event", frame(1, event("a", make([]byte, MaxEventBytes), 1)), ErrEventTooLarge, "at most 524288"},
		{"large frame", frame(1, event("a", make([]byte, MaxFrameBytes/2), 1), event("b", make([]byte, MaxFrameBytes/2), 2)), ErrMalformed, "at most 262144"},
		{"no seq", frame(1, event("a", nil, 0)), ErrMalformed, "without a seq"},
		{"seq twice", frame(1, event("a", nil, 1), event("b", nil, 1)), ErrMalformed, "seq 1 follows seq 1"},
		{"below the floor", frame(5, event("a", nil, 4)), ErrMalformed, "below the floor 5"},
		{"far above the floor", frame(5, event("a", nil, 5+MaxSpan+1)), ErrMalformed, "more than 65536 above"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f Frame
			err := f.Decode(c.b)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.says)
			require.NotEqual(t, Stored, Refusal(err).Code)
			require.False(t, Refusal(err).Retry)
		})
	}
	_, err = NewDraft("", nil, "", nil, false)
	require.ErrorIs(t, err, ErrNoKey)
	_, err = NewDraft("k", make([]byte, MaxEventBytes), "", nil, false)
	require.ErrorIs(t, err, ErrEventTooLarge)
	_, err = NewDraft(strings.Repeat("k", 513), nil, "", nil, false)
	require.ErrorIs(t, err, ErrKeyTooLong)
	_, err = NewDraft("\xff", nil, "", nil, false)
	require.ErrorIs(t, err, ErrKeyNotUTF8)
}

func TestMarksThatCannotBeRead(t *testing.T) {
	good := AppendMark(nil, Place{Epoch: 300, Shard: 7})
	field := func(num protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
	}
	begin := func(fields ...[]byte) []byte { return append(slices.Clone(mark), bytes.Join(fields, nil)...) }
	for name, c := range map[string]struct {
		b    []byte
		want error
		says string
	}{
		"nothing":           {nil, ErrNoMark, ""},
		"text":              {[]byte(`{"stream":"X"}`), ErrNoMark, ""},
		"half a mark":       {good[:4], ErrNoMark, ""},
		"parts first":       {append(AppendPart(nil, testFrame(t, "a"), 0), good...), ErrNoMark, ""},
		"a frame":           {testFrame(t, "a"), ErrNoMark, ""},
		"the mark only":     {good[:5], ErrMalformed, "bad field tag"},
		"no shard":          {good[:len(good)-2], ErrMalformed, "bad field tag"},
		"another format":    {begin(field(3, 2), field(4, 1), field(5, 0)), ErrMalformed, "batch format 2 is not known to this version, which knows 1"},
		"epoch before":      {begin(field(4, 1), field(3, 1), field(5, 0)), ErrMalformed, "field 4 where field 3 must be"},
		"no format":         {begin(field(4, 1), field(5, 0)), ErrMalformed, "field 4 where field 3 must be"},
		"shard of 33 bits":  {begin(field(3, 1), field(4, 1), field(5, 1<<32)), ErrMalformed, "batch of shard 4294967296"},
		"epoch of no digit": {begin(field(3, 1), protowire.AppendBytes(protowire.AppendTag(nil, 4, protowire.BytesType), nil)), ErrMalformed, "wire type"},
	} {
		_, _, err := ReadMark(c.b)
		require.ErrorIs(t, err, c.want, name)
		require.ErrorContains(t, err, c.says, name)
	}
	for _, s := range []string{"", "1", "1.", ".1", "1.-1", "-1.1", "1.2147483648", "1.1.1", "a.b", " 1.1", "1.1 "} {
		_, err := ParsePlace(s)
		require.ErrorIs(t, err, ErrMalformed, s)
	}
}

// The largest event that is accepted where it enters is accepted by the router too.
func TestLargestEventFits(t *testing.T) {
	n := MaxEventBytes - 40
	d, err := NewDraft("k", bytes.Repeat([]byte("x"), n), "", nil, false)
	require.NoError(t, err)
	var f Frame
	require.NoError(t, f.Decode(AppendEvent(AppendHeader(nil, testSession, 1<<62), d, 1<<62+1)))
}

// What comes from somebody who is no router is not the word that a frame is stored.
func TestForeignAnswers(t *testing.T) {
	for name, b := range map[string][]byte{
		"the frame sent back":  testFrame(t, "a"),
		"text":                 []byte("OK"),
		"code of another type": {1<<3 | 2, 0},
		"code out of range":    appendVarint([]byte{1 << 3}, 1<<32),
		"reason is a number":   {2 << 3, 1},
		"retry is bytes":       {3<<3 | 2, 0},
		"seq is bytes":         {4<<3 | 2, 0},
		"JetStream's":          []byte(`{"stream":"ARCHIVE","seq":1}`),
	} {
		_, err := DecodeAnswer(b)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
	a, err := DecodeAnswer([]byte{9 << 3, 1})
	require.NoError(t, err, "a field that is not known yet")
	require.Zero(t, a)
	require.False(t, a.Of(7), "an answer that names no frame does not say that one is stored")
	require.False(t, Answer{Seq: 8}.Of(7))
	require.True(t, Answer{Seq: 7}.Of(7))
	require.True(t, Answer{Code: Malformed}.Of(7), "of a router that could not read the frame")
	require.False(t, Answer{Code: Busy, Seq: 8}.Of(7))
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	b := testFrame(t, "a", "b", "c")
	var f Frame
	require.NoError(t, f.Decode(b))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = f.Decode(b) }))
	batch := AppendMark(nil, Place{Epoch: 1, Shard: 2})
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _, _ = ReadMark(batch) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { batch = AppendMark(batch[:0], Place{Epoch: 1, Shard: 2}) }))
}

func appendVarint(b []byte, v uint64) []byte {
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

func BenchmarkDecodeFrame(b *testing.B) {
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = "key-" + strings.Repeat("x", i%10)
	}
	enc := testFrame(b, keys...)
	var f Frame
	b.ReportAllocs()
	b.SetBytes(int64(len(enc)))
	for b.Loop() {
		if err := f.Decode(enc); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}
