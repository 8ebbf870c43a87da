package pick

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var roomy = limits{events: 1_000_000, name: 100, names: 1 << 20}

func openTrace(t testing.TB, text string) *Trace {
	path := filepath.Join(t.TempDir(), "trace")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	trace, err := mustParse(t, "file:"+path).Open(100)
	require.NoError(t, err)
	return trace
}

func TestTrace(t *testing.T) {
	trace := openTrace(t, "b\na\r\nb\nc d\nb")
	require.Equal(t, 3, trace.Keys())
	require.Equal(t, 5, trace.Events())
	require.Equal(t, []string{"b", "a", "c d"}, slices.Collect(trace.Names()))
	p := trace.Picker()
	for range 3 {
		for _, key := range []int{0, 1, 0, 2, 0} {
			require.Equal(t, key, p.Next())
		}
	}
	require.Equal(t, 0, trace.Picker().Next(), "each picker begins at the first event")
	require.Zero(t, testing.AllocsPerRun(100, func() { p.Next() }))

	require.NoError(t, trace.Check(3))
	require.EqualError(t, trace.Check(5), "keys must be left out, as their number, 3, follows from "+trace.path+", and is not 5")
}

// A trace picks the keys that its lines name, however many there are.
func TestTraceIsItsLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.OneOf(rapid.IntRange(1, 10), rapid.IntRange(1, 10_000)).Draw(t, "keys")
		picks := mustNew(t, Uniform, keys, rapid.Uint64().Draw(t, "seed"))
		var lines []string
		for range rapid.IntRange(1, 5000).Draw(t, "events") {
			lines = append(lines, fmt.Sprintf("key-%d", picks.Next()))
		}
		trace := &Trace{}
		require.NoError(t, trace.read(strings.NewReader(strings.Join(lines, "\n")), roomy))
		names := slices.Collect(trace.Names())
		require.Len(t, names, trace.Keys())
		p, seen := trace.Picker(), map[string]bool{}
		for range 2 {
			for _, line := range lines {
				require.Equal(t, line, names[p.Next()])
				seen[line] = true
			}
		}
		require.Len(t, seen, trace.Keys())
	})
}

func TestTraceRefuses(t *testing.T) {
	few := limits{events: 3, name: 5, names: 8}
	for in, says := range map[string]string{
		"":                          "the file is empty: each line must be the key of an event",
		"\n":                        "line 1 is empty: each line must be the key of an event",
		"a\n\nb":                    "line 2 is empty",
		"a\nb\n\r\n":                "line 3 is empty",
		"a\n123456\n":               "line 2 is longer than the 5 bytes that a key has room for",
		strings.Repeat("x", 70_000): "line 1 is longer than the 5 bytes that a key has room for",
		"a\n\xff\n":                 `line 2 is not UTF-8, as keys must be: "\xff"`,
		"a\nb\na\nb":                "the file has more than 3 lines: use fewer",
		"12345\n12345\n1234":        "its keys have more than 8 bytes together, up to line 3: use fewer lines or shorter keys",
	} {
		err := new(Trace).read(strings.NewReader(in), few)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "\n")
	}
	require.NoError(t, new(Trace).read(strings.NewReader("12345\r\n12345\n123\n"), few))
	broken := errors.New("broken")
	require.ErrorIs(t, new(Trace).read(iotest.ErrReader(broken), few), broken)
	require.Greater(t, bufio.MaxScanTokenSize, 512, "a line as long as a key fits")
}

func TestOpenRefuses(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent")
	_, err := mustParse(t, "file:"+absent).Open(100)
	require.EqualError(t, err, "distribution file:"+absent+": open "+absent+": no such file or directory")
	_, err = mustParse(t, "file:"+t.TempDir()).Open(100)
	require.ErrorContains(t, err, "is a directory")
	_, err = Uniform.Open(100)
	require.EqualError(t, err, "distribution uniform has no file to open")
}

// Until it is opened, nothing is known of a recorded distribution.
func TestRecordedDistribution(t *testing.T) {
	d := mustParse(t, "file:absent")
	require.True(t, d.Recorded())
	require.False(t, Uniform.Recorded())
	require.NoError(t, d.Check(0))
	require.True(t, math.IsNaN(d.Hottest(1)))
	_, err := New(d, 10, 1)
	require.EqualError(t, err, "distribution file:absent is picked from by its trace: open it")
}

func FuzzTrace(f *testing.F) {
	f.Add([]byte("a\nb\r\na"))
	f.Fuzz(func(t *testing.T, in []byte) {
		trace := &Trace{}
		if trace.read(bytes.NewReader(in), roomy) != nil {
			return
		}
		lines := bufio.NewScanner(bytes.NewReader(in))
		names, p := slices.Collect(trace.Names()), trace.Picker()
		for lines.Scan() {
			require.Equal(t, lines.Text(), names[p.Next()])
		}
	})
}

func BenchmarkTrace(b *testing.B) {
	const events = 1_000_000
	picks := mustNew(b, Uniform, events, 1)
	var text bytes.Buffer
	for range events {
		fmt.Fprintf(&text, "customer-%d\n", picks.Next())
	}
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			require.NoError(b, new(Trace).read(bytes.NewReader(text.Bytes()), limits{events, 100, 1 << 30}))
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/line")
	})
	b.Run("pick", func(b *testing.B) {
		trace := &Trace{}
		require.NoError(b, trace.read(bytes.NewReader(text.Bytes()), limits{events, 100, 1 << 30}))
		p := trace.Picker()
		b.ReportAllocs()
		for b.Loop() {
			p.Next()
		}
	})
}
