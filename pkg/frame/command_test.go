package frame

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCommandIsReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Command{
			Op:    rapid.SampledFrom([]string{CommandRetry, CommandDrop}).Draw(t, "op"),
			Key:   rapid.StringN(1, 100, MaxKeyBytes).Draw(t, "key"),
			First: "f-" + rapid.StringMatching(`[0-9a-f]{1,40}`).Draw(t, "first"),
			Last:  "l-" + rapid.StringMatching(`[0-9a-f]{1,40}`).Draw(t, "last"),
			Count: rapid.Uint64Min(2).Draw(t, "count"),
		}
		if rapid.Bool().Draw(t, "one") {
			c.Last, c.Count = c.First, 1
		}
		got, err := DecodeCommand(c.Append(nil))
		require.NoError(t, err)
		require.Equal(t, c, got)
	})
}

// Stored commands are read by later versions.
func TestCommandGolden(t *testing.T) {
	c := Command{Op: CommandDrop, Key: "a \"key\"\n", First: "1-2-3", Last: "1-2-9", Count: 4}
	const golden = `{"op":"drop","key":"a \"key\"\n","first":"1-2-3","last":"1-2-9","count":4}`
	require.Equal(t, golden, string(c.Append(nil)))
	got, err := DecodeCommand([]byte(" " + golden + "\n"))
	require.NoError(t, err)
	require.Equal(t, c, got)
}

func TestBadCommand(t *testing.T) {
	for body, says := range map[string]string{
		"\xff":   "it is not UTF-8",
		``:       "EOF",
		`retry`:  "invalid character",
		`"drop"`: "cannot unmarshal",
		`{}`:     `op is "", not "retry" or "drop": send {"op":"retry"`,
		`{"op":"skip","key":"k","first":"a","last":"a","count":1}`:             `op is "skip"`,
		`{"op":"drop","first":"a","last":"a","count":1}`:                       "event has no key",
		`{"op":"drop","key":"` + strings.Repeat("k", 513) + `","count":1}`:     "key is too long: 513 bytes",
		`{"op":"drop","key":"k","last":"a","count":1}`:                         "first is missing",
		`{"op":"drop","key":"k","first":"a","count":1}`:                        "last is missing",
		`{"op":"drop","key":"k","first":"` + strings.Repeat("i", 129) + `"}`:   "first has 129 bytes: an id has at most 128",
		`{"op":"drop","key":"k","first":"a","last":"a"}`:                       "count is 0 or missing",
		`{"op":"drop","key":"k","first":"a","last":"a","count":-1}`:            "cannot unmarshal",
		`{"op":"drop","key":"k","first":"a","last":"b","count":1}`:             "do not fit together",
		`{"op":"drop","key":"k","first":"a","last":"a","count":2}`:             "do not fit together",
		`{"op":"drop","key":"k","first":"a","last":"a","count":1,"shard":2}`:   `unknown field "shard"`,
		`{"op":"drop","key":"k","first":"a","last":"a","count":1}{"op":"x"}`:   "more follows after it",
		`[{"op":"drop","key":"k","first":"a","last":"a","count":1}]`:           "cannot unmarshal array",
		`{"op":"drop","key":["k"],"first":"a","last":"a","count":1}`:           "cannot unmarshal array",
		`{"op":"retry","key":"k","first":"a","last":"b","count":2,"first":""}`: "first is missing",
	} {
		_, err := DecodeCommand([]byte(body))
		require.ErrorIs(t, err, ErrBadCommand, body)
		require.ErrorContains(t, err, says, body)
	}
}

// FuzzCommand reads any body. A command that is accepted is the same after it was stored.
func FuzzCommand(f *testing.F) {
	f.Add([]byte(`{"op":"drop","key":"k","first":"1-2-3","last":"1-2-9","count":4}`))
	f.Add([]byte(`{"op":"retry","key":"\ud800","first":"a","last":"a","count":1}`))
	f.Add([]byte(`{"OP":"retry","key":"k","first":"a","last":"a","count":1e0}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := DecodeCommand(body)
		if err != nil {
			require.ErrorIs(t, err, ErrBadCommand)
			return
		}
		again, err := DecodeCommand(c.Append(nil))
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}
