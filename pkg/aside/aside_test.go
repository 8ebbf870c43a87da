package aside

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"example.com/lockstep/pkg/aside/asidepb"
	"example.com/lockstep/pkg/frame"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

func TestErrorText(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"short":                  {"no such account", "no such account"},
		"empty":                  {"", ""},
		"as long as is kept":     {strings.Repeat("x", MaxErrorBytes), strings.Repeat("x", MaxErrorBytes)},
		"too long":               {strings.Repeat("x", MaxErrorBytes+1), strings.Repeat("x", MaxErrorBytes)},
		"cut between runes":      {"x" + strings.Repeat("é", MaxErrorBytes), "x" + strings.Repeat("é", MaxErrorBytes/2-1)},
		"no UTF-8":               {"a\xffb", "a\uFFFDb"},
		"long, and no UTF-8":     {strings.Repeat("\xff", 5*MaxErrorBytes), "\uFFFD"},
		"grows to be too long":   {strings.Repeat("a\xff", MaxErrorBytes/2), strings.Repeat("a\uFFFD", MaxErrorBytes/4)},
		"cut, then with a fault": {strings.Repeat("a", MaxErrorBytes-1) + "\xffb", strings.Repeat("a", MaxErrorBytes-1)},
	} {
		t.Run(name, func(t *testing.T) {
			got := ErrorText(errors.New(c.in))
			require.Equal(t, c.want, got)
			require.Equal(t, got, cutText(got))
		})
	}
}

// The bytes in the store outlive this version.
func TestGoldenHead(t *testing.T) {
	for _, c := range []struct {
		head Head
		want string
	}{
		{Head{Next: 1}, "1001"},
		{
			Head{
				First: 300, Next: 305, Bytes: 900, Status: Parked, Attempts: 5, Error: "no such account",
				Began: time.Unix(1_700_000_000, 123), Last: time.Unix(1_700_000_010, 456), Mark: Mark{Drop, 304},
				Commands: []Command{{Retry, "1-7-9", "1-7-12", 3}, {Op: Drop, First: "a", Last: "a", Count: 1}},
			},
			"08ac02" + "10b102" + "188407" + "2002" + "2805" + "320f" + hex.EncodeToString([]byte("no such account")) +
				"397b002a36fe9c9717" + "41c8e5358a009d9717" + "4802" + "50b002" +
				"5a13" + "0801" + "1205312d372d39" + "1a06312d372d3132" + "2003" + "5a0a" + "0802" + "120161" + "1a0161" + "2001",
		},
	} {
		b := c.head.Append(nil)
		require.Equal(t, c.want, hex.EncodeToString(b))
		got, err := DecodeHead(b)
		require.NoError(t, err)
		require.Equal(t, c.head, got)
	}
}

func TestGoldenEvent(t *testing.T) {
	publisher := frame.PublisherID{0: 1, 15: 16}
	for _, c := range []struct {
		event Event
		want  string
	}{
		{Event{ID: "1-7-9", Seq: 9}, "0a05312d372d39" + "4009"},
		{
			Event{
				ID: publisher.String() + "-300", Type: "paid", Data: []byte(`{"amount":5}`), Headers: map[string]string{"b": "", "a": "1"},
				Time: time.Unix(1_700_000_000, 123), Publisher: publisher, Generation: 2, Seq: 300, Receipt: true,
			},
			"120470616964" + "1a0c" + hex.EncodeToString([]byte(`{"amount":5}`)) + "22060a0161120131" + "22030a0162" +
				"297b002a36fe9c9717" + "321001000000000000000000000000000010" + "3802" + "40ac02" + "4801",
		},
	} {
		b := c.event.Append(nil)
		require.Equal(t, c.want, hex.EncodeToString(b))
		got, err := DecodeEvent(b)
		require.NoError(t, err)
		require.Equal(t, c.event, got)
	}
}

func TestRefused(t *testing.T) {
	event := Event{ID: "1-2-3"}
	for name, b := range map[string][]byte{
		"nothing":                    nil,
		"no events":                  {0x08, 5, 0x10, 5},
		"ends before it begins":      {0x08, 5, 0x10, 4},
		"cut":                        {0x10},
		"bad tag":                    {0x10, 1, 0},
		"first is text":              {0x0a, 1, 'x', 0x10, 1},
		"a status of later versions": {0x10, 1, 0x20, 3},
		"an operation likewise":      {0x10, 1, 0x48, 3},
		"a command likewise":         {0x10, 1, 0x5a, 2, 0x08, 3},
		"a command that is cut":      {0x10, 1, 0x5a, 1, 0x08},
	} {
		t.Run("head: "+name, func(t *testing.T) {
			_, err := DecodeHead(b)
			require.ErrorIs(t, err, ErrMalformed)
		})
	}
	for name, b := range map[string][]byte{
		"nothing":           nil,
		"cut":               event.Append(nil)[:4],
		"short publisher":   append(event.Append(nil), 0x32, 1, 7),
		"header cut":        append(event.Append(nil), 0x22, 1, 0x0a),
		"header has number": append(event.Append(nil), 0x22, 2, 0x08, 1),
		"id is a number":    {0x08, 1},
	} {
		t.Run("event: "+name, func(t *testing.T) {
			_, err := DecodeEvent(b)
			require.ErrorIs(t, err, ErrMalformed)
		})
	}
}

func TestFieldsOfLaterVersionsArePassedOver(t *testing.T) {
	later := []byte{0x7a, 1, 'x', 0x70, 5, 0x81, 1, 1, 2, 3, 4, 5, 6, 7, 8} // fields 15, 14 and 16
	head := Head{First: 1, Next: 3, Error: "e"}
	h, err := DecodeHead(append(head.Append(bytes.Clone(later)), later...))
	require.NoError(t, err)
	require.Equal(t, head, h)
	event := Event{ID: "1-2-3", Data: []byte("d")}
	e, err := DecodeEvent(append(event.Append(bytes.Clone(later)), later...))
	require.NoError(t, err)
	require.Equal(t, event, e)
}

func TestWords(t *testing.T) {
	require.Equal(t, "retrying running parked status 3", Retrying.String()+" "+Running.String()+" "+Parked.String()+" "+Status(3).String())
	require.Equal(t, "none retry drop operation 9", None.String()+" "+Retry.String()+" "+Drop.String()+" "+Op(9).String())
}

func drawTime(t *rapid.T, label string) time.Time {
	if rapid.Bool().Draw(t, label+" is zero") {
		return time.Time{}
	}
	return time.Unix(0, rapid.Int64Range(1, 1<<62).Draw(t, label))
}

func drawHead(t *rapid.T) Head {
	first := rapid.Uint64Range(0, 1<<40).Draw(t, "first")
	var commands []Command
	for range rapid.IntRange(0, 3).Draw(t, "commands") {
		commands = append(commands, Command{
			Op:    rapid.SampledFrom([]Op{Retry, Drop}).Draw(t, "command"),
			First: rapid.StringMatching("[a-z]{0,4}").Draw(t, "first id"), Last: rapid.StringMatching("[a-z]{0,4}").Draw(t, "last id"),
			Count: rapid.Uint64().Draw(t, "count"),
		})
	}
	return Head{
		First: first, Next: first + rapid.Uint64Range(1, 1<<40).Draw(t, "len"), Bytes: rapid.Uint64().Draw(t, "bytes"),
		Status: rapid.SampledFrom([]Status{Retrying, Running, Parked}).Draw(t, "status"), Attempts: rapid.Uint64().Draw(t, "attempts"),
		Error: rapid.StringN(-1, -1, 2*MaxErrorBytes).Draw(t, "error"), Began: drawTime(t, "began"), Last: drawTime(t, "last"),
		Mark:     Mark{rapid.SampledFrom([]Op{None, Retry, Drop}).Draw(t, "op"), rapid.Uint64().Draw(t, "until")},
		Commands: commands,
	}
}

func drawEvent(t *rapid.T) Event {
	e := Event{
		ID: rapid.StringMatching("[a-z]{1,9}").Draw(t, "id"), Type: rapid.String().Draw(t, "type"),
		Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"), Time: drawTime(t, "time"),
		Headers: rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, "headers"),
	}
	if rapid.Bool().Draw(t, "framed") {
		copy(e.Publisher[:], rapid.SliceOfN(rapid.ByteRange(1, 255), 16, 16).Draw(t, "publisher"))
		e.Generation, e.Seq = rapid.Uint64().Draw(t, "generation"), rapid.Uint64().Draw(t, "seq")
		e.ID, e.Receipt = e.framedID(), rapid.Bool().Draw(t, "receipt")
	}
	if len(e.Data) == 0 {
		e.Data = nil
	}
	if len(e.Headers) == 0 {
		e.Headers = nil
	}
	return e
}

// What we write, generated code reads; what generated code writes, we read.
func TestAgainstGeneratedCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHead(t)
		var theirs asidepb.Head
		require.NoError(t, proto.Unmarshal(h.Append(nil), &theirs))
		require.Equal(t, h.Next, theirs.Next)
		require.Equal(t, uint64(h.Status), uint64(theirs.Status))
		require.Equal(t, uint64(h.Mark.Op), uint64(theirs.Mark))
		require.True(t, utf8.ValidString(theirs.Error))
		require.LessOrEqual(t, len(theirs.Error), MaxErrorBytes)
		b, err := proto.Marshal(&theirs)
		require.NoError(t, err)
		back, err := DecodeHead(b)
		require.NoError(t, err)
		h.Error = cutText(h.Error)
		require.Equal(t, h, back)

		e := drawEvent(t)
		var their asidepb.Event
		require.NoError(t, proto.Unmarshal(e.Append(nil), &their))
		require.Equal(t, e.Seq, their.Seq)
		require.Len(t, their.Headers, len(e.Headers))
		require.Equal(t, e.Publisher == frame.PublisherID{}, their.Id != "")
		b, err = proto.Marshal(&their)
		require.NoError(t, err)
		again, err := DecodeEvent(b)
		require.NoError(t, err)
		require.Equal(t, e, again)
		require.Equal(t, e.Append(nil), again.Append(nil))
	})
}

func FuzzHead(f *testing.F) {
	head := Head{First: 3, Next: 9, Error: "\xff", Status: Parked, Mark: Mark{Retry, 5}, Began: time.Unix(1, 0), Commands: []Command{{Drop, "a", "b", 2}}}
	f.Add(head.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := DecodeHead(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		back, err := DecodeHead(h.Append(nil))
		require.NoError(t, err)
		require.Equal(t, h, back)
		require.Positive(t, h.Len())
	})
}

func FuzzEvent(f *testing.F) {
	event := Event{ID: "1-2-3", Type: "t", Data: []byte("d"), Headers: map[string]string{"h": "v"}, Time: time.Unix(1, 0)}
	f.Add(event.Append(nil))
	event = Event{Publisher: frame.PublisherID{9}, Generation: 1, Seq: 77, Receipt: true}
	f.Add(event.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEvent(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.NotEmpty(t, e.ID)
		back, err := DecodeEvent(e.Append(nil))
		require.NoError(t, err)
		e.Data, back.Data = append([]byte{}, e.Data...), append([]byte{}, back.Data...)
		require.Equal(t, e, back)
	})
}
