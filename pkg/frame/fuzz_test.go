package frame

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"
	"unicode/utf8"

	"example.com/lockstep/pkg/frame/framepb"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// minEventBytes is the shortest event in a frame: tag and length, a key of one byte, a seq.
const minEventBytes = 2 + 3 + 2

// requireRefusal holds an error of a decoder against what callers rely on.
func requireRefusal(t *testing.T, err error) {
	t.Helper()
	known := slices.ContainsFunc([]error{ErrMalformed, ErrNoKey, ErrKeyTooLong, ErrKeyNotUTF8, ErrEventTooLarge},
		func(is error) bool { return errors.Is(err, is) })
	require.True(t, known, "%v", err)
	require.NotEqual(t, Stored, Refusal(err).Code)
	require.False(t, Refusal(err).Retry)
}

// again encodes a frame's events anew, from what was decoded of them.
func again(t *testing.T, fr *Frame) []byte {
	t.Helper()
	b := AppendHeader(nil, fr.Session, fr.Floor)
	for i := range fr.Events {
		e := &fr.Events[i]
		d, err := NewDraft(string(e.Key), e.Data, string(e.Type), e.Headers(), e.Receipt)
		if err != nil { // an event that is as large as is allowed, for its seq was written shorter than a draft reckons
			require.ErrorIs(t, err, ErrEventTooLarge)
			return nil
		}
		b = AppendEvent(b, d, e.Seq)
	}
	return b
}

// requireSame holds two frames against one another, but for how they were encoded.
func requireSame(t *testing.T, want, got *Frame) {
	t.Helper()
	require.Equal(t, want.Session, got.Session)
	require.Equal(t, want.Floor, got.Floor)
	require.Equal(t, want.Header, got.Header)
	require.Len(t, got.Events, len(want.Events))
	for i := range want.Events {
		w, g := &want.Events[i], &got.Events[i]
		require.Equal(t, w.Seq, g.Seq)
		require.Equal(t, string(w.Key), string(g.Key))
		require.Equal(t, string(w.Data), string(g.Data))
		require.Equal(t, string(w.Type), string(g.Type))
		require.Equal(t, w.Receipt, g.Receipt)
		require.True(t, maps.Equal(w.Headers(), g.Headers()))
	}
}

func addFrames(f *testing.F, add func([]byte)) {
	valid := testFrame(f, "a", "b", "ключ")
	add(valid)
	add(valid[:len(valid)-1])
	add(testFrame(f, "a"))
	add([]byte(`{"amount":5}`))
	theirs, err := proto.Marshal(&framepb.Frame{
		Session: &framepb.Session{Publisher: bytes.Repeat([]byte{9}, 16), Generation: 1 << 40, Birth: -1}, Floor: 1 << 50,
		Events: []*framepb.Event{{Key: "k", Seq: 1<<50 + MaxSpan, Headers: map[string]string{"": "", "a": "b"}, Receipt: true}},
	})
	require.NoError(f, err)
	add(theirs)
	add(append(theirs, 0x7a, 1, 'x')) // a field of a later version
}

func FuzzFrame(f *testing.F) {
	addFrames(f, func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		var fr Frame
		if err := fr.Decode(b); err != nil {
			requireRefusal(t, err)
			return
		}
		require.LessOrEqual(t, len(fr.Events)*minEventBytes, len(b))
		last := fr.Floor - 1
		raw := 0
		for i := range fr.Events {
			e := &fr.Events[i]
			require.Greater(t, e.Seq, last)
			require.LessOrEqual(t, e.Seq-fr.Floor, uint64(MaxSpan))
			require.True(t, utf8.Valid(e.Key) && len(e.Key) > 0 && len(e.Key) <= MaxKeyBytes)
			require.LessOrEqual(t, len(e.Headers()), len(e.Raw)/2)
			last = e.Seq
			raw += len(e.Raw)
		}
		require.LessOrEqual(t, raw, len(b))

		// Generated code reads the same in it. (It alone insists on UTF-8 in types and headers.)
		var theirs framepb.Frame
		if proto.Unmarshal(b, &theirs) == nil {
			requireGenerated(t, &fr, &theirs)
		}
		// What we write of it is read as the same.
		if ours := again(t, &fr); ours != nil && (len(ours) <= MaxFrameBytes || len(fr.Events) == 1) {
			var back Frame
			require.NoError(t, back.Decode(ours))
			requireSame(t, &fr, &back)
		}
		// So is what a router makes of it.
		batch := AppendPart(nil, fr.Header, raw)
		for i := range fr.Events {
			batch = append(batch, fr.Events[i].Raw...)
		}
		require.Len(t, batch, PartSize(fr.Header, raw))
		parts := 0
		err := Parts(batch, new(Frame), func(p *Frame) error {
			parts++
			requireSame(t, &fr, p)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 1, parts)
	})
}

func requireGenerated(t *testing.T, fr *Frame, theirs *framepb.Frame) {
	t.Helper()
	require.Equal(t, fr.Session.Publisher[:], theirs.Session.Publisher)
	require.Equal(t, fr.Session.Generation, theirs.Session.Generation)
	require.Equal(t, fr.Session.Birth, theirs.Session.Birth)
	require.Equal(t, fr.Floor, theirs.Floor)
	require.Len(t, theirs.Events, len(fr.Events))
	for i, e := range theirs.Events {
		o := &fr.Events[i]
		require.Equal(t, string(o.Key), e.Key)
		require.Equal(t, o.Seq, e.Seq)
		require.Equal(t, string(o.Data), string(e.Data))
		require.Equal(t, string(o.Type), e.Type)
		require.Equal(t, o.Receipt, e.Receipt)
		require.True(t, maps.Equal(o.Headers(), e.Headers), "%v %v", o.Headers(), e.Headers)
	}
}

// FuzzMark reads what a message of the log begins with: a batch written anew begins so, and generated code reads it alike.
func FuzzMark(f *testing.F) {
	good := AppendMark(nil, Place{Epoch: 300, Shard: 7})
	f.Add(good)
	f.Add(good[:5])
	f.Add(append(good, AppendPart(nil, nil, 0)...))
	f.Add([]byte(`{"stream":"X","seq":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		at, parts, err := ReadMark(b)
		if errors.Is(err, ErrNoMark) {
			require.False(t, bytes.HasPrefix(b, good[:5]))
			return
		}
		require.True(t, bytes.HasPrefix(b, good[:5]))
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			require.Zero(t, at)
			return
		}
		require.True(t, bytes.HasSuffix(b, parts))
		again, rest, err := ReadMark(append(AppendMark(nil, at), parts...))
		require.NoError(t, err)
		require.Equal(t, at, again)
		require.Equal(t, parts, rest)
		same, err := ParsePlace(at.String())
		require.NoError(t, err)
		require.Equal(t, at, same)
		var theirs framepb.Batch
		if proto.Unmarshal(b[:len(b)-len(parts)], &theirs) == nil {
			require.Equal(t, at, Place{theirs.Epoch, int(theirs.Shard)})
			require.EqualValues(t, batchFormat, theirs.Format)
		}
	})
}

func FuzzBatch(f *testing.F) {
	addFrames(f, func(b []byte) {
		f.Add(append(AppendPart(nil, nil, len(b)), b...))
		f.Add(append(AppendPart(append(AppendPart(nil, nil, len(b)), b...), nil, len(b)), b...))
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		type read struct {
			session Session
			floor   uint64
			events  []string
		}
		readAll := func(b []byte, rebuilt *[]byte) (out []read, err error) {
			var part Frame
			err = Parts(b, &part, func(p *Frame) error {
				r := read{session: p.Session, floor: p.Floor}
				n := 0
				for i := range p.Events {
					r.events = append(r.events, string(p.Events[i].Raw))
					n += len(p.Events[i].Raw)
				}
				*rebuilt = AppendPart(*rebuilt, p.Header, n)
				for _, raw := range r.events {
					*rebuilt = append(*rebuilt, raw...)
				}
				out = append(out, r)
				return nil
			})
			return out, err
		}
		var rebuilt, last []byte
		parts, err := readAll(b, &rebuilt)
		if err != nil {
			requireRefusal(t, err)
		}
		events := 0
		for _, p := range parts {
			require.NotEmpty(t, p.events)
			events += len(p.events)
		}
		require.LessOrEqual(t, events*minEventBytes, len(b))
		// What was read before an error is whole: written anew, it is read as the same.
		back, err := readAll(rebuilt, &last)
		require.NoError(t, err)
		require.Equal(t, parts, back)
		require.Equal(t, rebuilt, last)
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(nil))
	for code := range Code(len(codeNames) + 1) {
		f.Add(Answer{Code: code, Reason: "what, which value, what to do", Retry: code%2 == 0}.Append(nil))
	}
	f.Add(Answer{Seq: 1<<64 - 1}.Append(nil))
	f.Add(Refusal(errors.New("event 3: key is too long")).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := DecodeAnswer(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			require.Equal(t, Answer{}, a)
			return
		}
		if len(b) > 0 {
			require.False(t, a == Answer{} && new(Frame).Decode(b) == nil, "a frame that comes back")
		}
		require.LessOrEqual(t, len(a.Reason), len(b))
		require.NotEmpty(t, a.Error())
		back, err := DecodeAnswer(a.Append(nil))
		require.NoError(t, err)
		require.Equal(t, a, back)
		var theirs framepb.Answer
		if proto.Unmarshal(b, &theirs) == nil {
			require.Equal(t, int32(a.Code), int32(theirs.Code))
			require.Equal(t, a.Reason, theirs.Reason)
			require.Equal(t, a.Retry, theirs.Retry)
			require.Equal(t, a.Seq, theirs.Seq)
		}
	})
}

func FuzzReceipt(f *testing.F) {
	f.Add(Receipt{}.Append(nil))
	f.Add(Receipt{Generation: 1, Seqs: []uint64{1, 2, 300, 1 << 40, 1<<64 - 1}}.Append(nil))
	f.Add([]byte{1 << 3, 1, 2 << 3, 7, 2 << 3, 9}) // seqs that are not packed
	f.Fuzz(func(t *testing.T, b []byte) {
		r := Receipt{Generation: 99, Seqs: []uint64{98, 97}} // of the message before
		if err := r.Decode(b); err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.LessOrEqual(t, len(r.Seqs), len(b))
		var back Receipt
		require.NoError(t, back.Decode(r.Append(nil)))
		require.Equal(t, r.Generation, back.Generation)
		require.True(t, slices.Equal(r.Seqs, back.Seqs))
		var theirs framepb.Receipt
		if proto.Unmarshal(b, &theirs) == nil {
			require.Equal(t, r.Generation, theirs.Generation)
			require.True(t, slices.Equal(r.Seqs, theirs.Seqs))
		}
	})
}

func FuzzPublisherID(f *testing.F) {
	f.Add(testSession.Publisher.String())
	f.Add("00FF00ff00ff00ff00ff00ff00ff00ff")
	f.Add("ff")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParsePublisherID(s)
		if err != nil {
			require.Equal(t, PublisherID{}, id)
			return
		}
		back, err := ParsePublisherID(id.String())
		require.NoError(t, err)
		require.Equal(t, id, back)
	})
}
