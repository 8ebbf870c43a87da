package frame_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/internal/golden"
)

var goldenSession = frame.Session{
	Publisher: frame.PublisherID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff}, Generation: 3, Birth: 1_700_000_000_123,
}

// goldenFrame is a frame of two events: one with all fields, and one with as few as can be.
func goldenFrame(t *testing.T) []byte {
	t.Helper()
	full, err := frame.NewDraft("alice", []byte(`{"amount":5}`), "deposit", map[string]string{"trace": "t-1"}, true)
	require.NoError(t, err)
	least, err := frame.NewDraft("b", nil, "", nil, false)
	require.NoError(t, err)
	b := frame.AppendHeader(nil, goldenSession, 7)
	return frame.AppendEvent(frame.AppendEvent(b, full, 7), least, 300)
}

// requireGoldenFrame requires that a frame, or a part of a batch, holds what goldenFrame put into it.
func requireGoldenFrame(t *testing.T, fr *frame.Frame) {
	t.Helper()
	require.Equal(t, goldenSession, fr.Session)
	require.EqualValues(t, 7, fr.Floor)
	require.Len(t, fr.Events, 2)
	full, least := &fr.Events[0], &fr.Events[1]
	require.Equal(t, "alice", string(full.Key))
	require.Equal(t, `{"amount":5}`, string(full.Data))
	require.Equal(t, "deposit", string(full.Type))
	require.Equal(t, map[string]string{"trace": "t-1"}, full.Headers())
	require.True(t, full.Receipt)
	require.EqualValues(t, 7, full.Seq)
	require.Equal(t, "b", string(least.Key))
	require.EqualValues(t, 300, least.Seq)
	require.Empty(t, least.Data)
	require.False(t, least.Receipt)
}

// What an earlier version has sent is under way, and what its routers have stored lies in the log.
func TestGoldenFrame(t *testing.T) {
	kept := golden.Check(t, "frame.hex", goldenFrame(t))
	var fr frame.Frame
	require.NoError(t, fr.Decode(kept))
	requireGoldenFrame(t, &fr)
}

func TestGoldenBatch(t *testing.T) {
	var fr frame.Frame
	require.NoError(t, fr.Decode(goldenFrame(t)))
	place := frame.Place{Epoch: 1, Shard: 7}
	b := frame.AppendMark(nil, place)
	b = frame.AppendPart(b, fr.Header, len(fr.Events[0].Raw)+len(fr.Events[1].Raw))
	b = append(append(b, fr.Events[0].Raw...), fr.Events[1].Raw...)

	of, parts, err := frame.ReadMark(golden.Check(t, "batch.hex", b))
	require.NoError(t, err)
	require.Equal(t, place, of)
	seen := 0
	require.NoError(t, frame.Parts(parts, new(frame.Frame), func(part *frame.Frame) error {
		seen++
		requireGoldenFrame(t, part)
		return nil
	}))
	require.Equal(t, 1, seen)
}

func TestGoldenAnswers(t *testing.T) {
	for name, want := range map[string]frame.Answer{
		"answer-stored.hex":  {Code: frame.Stored, Seq: 300},
		"answer-refused.hex": {Code: frame.SessionTooOld, Reason: "session is 13h old", Retry: true, Seq: 7},
	} {
		got, err := frame.DecodeAnswer(golden.Check(t, name, want.Append(nil)))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestGoldenReceipt(t *testing.T) {
	want := frame.Receipt{Generation: 3, Seqs: []uint64{7, 300, 1 << 40}}
	var got frame.Receipt
	require.NoError(t, got.Decode(golden.Check(t, "receipt.hex", want.Append(nil))))
	require.Equal(t, want, got)
}

func TestGoldenCommands(t *testing.T) {
	for name, want := range map[string]frame.Command{
		"command-retry.json": {Op: frame.CommandRetry, Key: "a b", First: "id-1", Last: "id-3", Count: 3},
		"command-drop.json":  {Op: frame.CommandDrop, Key: "alice", First: "id-1", Last: "id-1", Count: 1},
	} {
		got, err := frame.DecodeCommand(golden.Check(t, name, want.Append(nil)))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// The names in the headers of messages, the codes of answers, and limits that a receiver relies on.
func TestGoldenNames(t *testing.T) {
	place := frame.Place{Epoch: 12, Shard: 7}
	golden.Check(t, "headers.txt", []byte(strings.Join([]string{
		frame.HeaderKind, frame.HeaderPlace, frame.HeaderKey, frame.HeaderType, frame.KindEvent, frame.KindCommand, place.String(),
	}, "\n")))
	got, err := frame.ParsePlace("12.7")
	require.NoError(t, err)
	require.Equal(t, place, got)
	codes := []frame.Code{
		frame.Stored, frame.Closing, frame.Busy, frame.LogFull, frame.LogError,
		frame.Malformed, frame.NoKey, frame.KeyTooLong, frame.EventTooLarge, frame.SessionTooOld,
	}
	for number, code := range codes {
		require.EqualValues(t, number, code)
	}
	require.Equal(t, []int{512, 512 << 10, 256 << 10, 65536}, []int{frame.MaxKeyBytes, frame.MaxEventBytes, frame.MaxFrameBytes, frame.MaxSpan})
}
