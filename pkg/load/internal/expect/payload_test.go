package expect

import (
	"bytes"
	"compress/flate"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"example.com/lockstep/pkg/load"
)

// fileOf writes a file of payloads.
func fileOf(t testing.TB, text string) Content {
	path := filepath.Join(t.TempDir(), "payloads")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return Content{kindFile, path}
}

// payloadsOfAllKinds returns some payloads of each kind, small ones too.
func payloadsOfAllKinds(t testing.TB) []Payload {
	return []Payload{
		{},
		{Size: Bytes(MinSize)},
		{Size: Size{MinSize, 300}},
		{Content: Compressible, Size: Size{13, 40}},
		{Content: fileOf(t, "one\n\n7 seven\na longer line\n")},
		{Content: fileOf(t, "the same again")},
	}
}

// asFlagsSay is what generates events of a program that was not changed.
func asFlagsSay(d *load.Draw) load.Event { return load.Event{Payload: d.Content()} }

func newEventsOf(t require.TestingT, p Payload, seed uint64) *Events {
	made, err := NewEvents(asFlagsSay, p, seed)
	require.NoError(t, err)
	return made
}

// write returns a link with the payload of a key's event in it.
func write(made *Events, l link, key int, counter uint32) link {
	return made.write(l, key, counter)
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]Size{
		"12": {12, 12}, "128": Bytes(128), "64-1024": {64, 1024}, "64-64": Bytes(64), "523264": Bytes(MaxSize),
	} {
		var got Size
		require.NoError(t, got.UnmarshalText([]byte(in)), in)
		require.Equal(t, want, got)
		again, err := ParseSize(got.String())
		require.NoError(t, err)
		require.Equal(t, want, again)
	}
	for in, says := range map[string]string{
		"11": "size must be from 12 to 523264 bytes, not 11", "0": "not 0", "11-20": "not 11-20", "523265": "not 523265", "12-523265": "not 12-523265",
		"20-12": "size 20-12 must have the smaller number first: set 12-20",
		"":      `size "" is neither a number of bytes, as in 128, nor a range, as in 64-1024`,
		"12-":   "is neither", "-12": "is neither", "12-13-14": "is neither", "1k": "is neither", "99999999999": "is neither",
	} {
		_, err := ParseSize(in)
		require.ErrorContains(t, err, says, in)
	}
}

func TestParseContent(t *testing.T) {
	for in, want := range map[string]Content{
		"random": {}, "compressible": Compressible, "file:a b:c": {kindFile, "a b:c"},
	} {
		var got Content
		require.NoError(t, got.UnmarshalText([]byte(in)))
		require.Equal(t, want, got)
		require.Equal(t, in, got.String())
	}
	for _, in := range []string{"", "Random", "file", "file:", "text"} {
		_, err := ParseContent(in)
		require.EqualError(t, err, fmt.Sprintf("payload %q is none of random, compressible and file:PATH", in))
	}
}

func TestPayloadIsDescribed(t *testing.T) {
	require.Equal(t, "128 random bytes", Payload{}.String())
	require.Equal(t, "64-1024 compressible bytes", Payload{Content: Compressible, Size: Size{64, 1024}}.String())
	require.Equal(t, "lines of x", Payload{Content: Content{kindFile, "x"}}.String())
}

func TestPayloadsAreRefused(t *testing.T) {
	dir := t.TempDir()
	absent := filepath.Join(dir, "absent")
	for says, p := range map[string]Payload{
		"size must be from 12 to 523264 bytes, not 11":                  {Size: Bytes(11)},
		"size 13-12 must have the smaller number first: set 12-13":      {Size: Size{13, 12}},
		"payloads from a file have the sizes of its lines: set no size": {Content: fileOf(t, "a"), Size: Bytes(128)},
		"payload file: open " + absent + ": no such file or directory":  {Content: Content{kindFile, absent}},
		"payload file: read " + dir + ": is a directory":                {Content: Content{kindFile, dir}},
		"is empty: it needs a line or more":                             {Content: fileOf(t, "")},
		"line 2 has 523254 bytes, at most 523253 fit into an event":     {Content: fileOf(t, "a\n"+strings.Repeat("x", 523254))},
		"has more than 10000000 lines: use fewer":                       {Content: fileOf(t, strings.Repeat("\n", 10_000_001))},
		"is larger than 64 MiB: use a smaller one":                      {Content: fileOf(t, strings.Repeat(strings.Repeat("x", 1023)+"\n", 64<<10)+"y")},
	} {
		_, err := NewEvents(asFlagsSay, p, 1)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestLinesOfAFile(t *testing.T) {
	for text, want := range map[string][]string{
		"a":              {"a"},
		"a\n":            {"a"},
		"a\n\nb":         {"a", "", "b"},
		"\n":             {""},
		"a\r\nb\r\r\n\r": {"a", "b\r", ""},
		"\x00\xff \n7":   {"\x00\xff ", "7"},
	} {
		l, err := readLines(fileOf(t, text).path)
		require.NoError(t, err)
		var got []string
		for i := range l.len() {
			got = append(got, string(l.at(i)))
		}
		require.Equal(t, want, got, "%q", text)
	}
	longest := strings.Repeat("x", maxLine)
	p := newEventsOf(t, Payload{Content: fileOf(t, "a\n"+longest)}, 1)
	require.Equal(t, MaxSize, cap(p.newLink())-chainSize)
}

func TestPayloadsCanBeMadeAgain(t *testing.T) {
	file := fileOf(t, "one\ntwo\n\nfour")
	rapid.Check(t, func(t *rapid.T) {
		p := Payload{Content: rapid.SampledFrom([]Content{Random, Compressible, file}).Draw(t, "content")}
		if p.Content != file {
			least := rapid.IntRange(MinSize, 300).Draw(t, "least")
			p.Size = Size{least, rapid.IntRange(least, 600).Draw(t, "most")}
		}
		made := newEventsOf(t, p, rapid.Uint64().Draw(t, "seed"))
		key := rapid.IntRange(0, MaxKeys).Draw(t, "key")
		counter := rapid.Uint32Min(1).Draw(t, "counter")

		payload := write(made, made.newLink(), key, counter).payload()
		used := write(made, made.newLink(), key+1, counter+7)
		require.Equal(t, payload, write(made, used, key, counter).payload(), "the buffer's old content does not matter")
		rest, begins := bytes.CutPrefix(payload, fmt.Appendf(nil, "%d ", counter))
		require.True(t, begins)
		switch p.Content {
		case file:
			require.Contains(t, []string{"one", "two", "", "four"}, string(rest))
		case Compressible:
			for word := range bytes.SplitAfterSeq(rest[:len(rest)/8*8], []byte(" ")) {
				require.Contains(t, vocabulary, string(word))
			}
		}
		if p.Content != file {
			require.GreaterOrEqual(t, len(payload), p.Size.Least)
			require.LessOrEqual(t, len(payload), p.Size.Most)
		}
		if p.Content == Random && len(rest) >= 8 {
			require.NotEqual(t, payload, write(made, made.newLink(), key+1, counter).payload(), "of another key")
		}
	})
}

// Sizes and lines are drawn evenly, of one key as of many.
func TestDrawsAreEven(t *testing.T) {
	const n, choices = 40_000, 40
	var text strings.Builder // lines that are told by their lengths
	for i := range choices {
		text.WriteString(strings.Repeat("x", i) + "\n")
	}
	file := fileOf(t, text.String())
	for _, p := range []Payload{{Size: Size{20, 59}}, {Content: Compressible, Size: Size{20, 59}}, {Content: file}} {
		made := newEventsOf(t, p, 1)
		for name, at := range map[string]func(i int) (key int, counter uint32){
			"one key":  func(i int) (int, uint32) { return 3, uint32(i + 10_000) },
			"all keys": func(i int) (int, uint32) { return i, 10_000 },
		} {
			counts := map[int]int{}
			l := made.newLink()
			for i := range n {
				key, counter := at(i)
				l = write(made, l, key, counter)
				counts[len(l)]++
			}
			require.Len(t, counts, choices, "%s: %s", p, name)
			for size, count := range counts {
				require.InDelta(t, n/choices, count, 7*32, "%s: %s: size %d", p, name, size)
			}
		}
	}
}

// deflated returns how many times smaller the payloads of 200 events become when
// they are compressed together.
func deflated(t *testing.T, p Payload) float64 {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.DefaultCompression)
	require.NoError(t, err)
	made := newEventsOf(t, p, 1)
	in, l := 0, made.newLink()
	for i := range 200 {
		l = write(made, l, i*37%100, uint32(i/10+1))
		in += len(l.payload())
		_, err := w.Write(l.payload())
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return float64(in) / float64(out.Len())
}

func TestPayloadsCompressAsStated(t *testing.T) {
	for _, size := range []Size{Bytes(128), {64, 1024}, Bytes(4 << 10)} {
		require.Less(t, deflated(t, Payload{Size: size}), 1.03, size)
		require.InDelta(t, 8, deflated(t, Payload{Content: Compressible, Size: size}), 1.5, size)
	}
}

func TestPayloadsAllocateNothing(t *testing.T) {
	for _, p := range payloadsOfAllKinds(t) {
		b := newBookOf(t, 10, p)
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			_, chain, _ := b.Next(3)
			b.Sent(3, chain)
		}), p)
	}
}
