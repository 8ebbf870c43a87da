package testkit

import (
	"encoding/hex"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// update has Golden write the files that are not there yet.
var update = flag.Bool("update", false, "write the golden files that are not there yet; those that are there stay")

// goldenDir holds what an earlier version wrote, seen from the test's package.
const goldenDir = "testdata/golden"

// hexLine is how many bytes a line of a file with the extension .hex holds.
const hexLine = 32

// Golden requires that a format is written today as an earlier version wrote it, which is kept in testdata/golden, and returns the
// bytes that are kept. A name with the extension .hex is for bytes, any other for a text. `go test -update` writes a file that is not
// there yet, and never one that is: what a release may change is in docs/versions.md.
func Golden(t testing.TB, name string, today []byte) (kept []byte) {
	t.Helper()
	path := filepath.Join(goldenDir, name)
	if _, err := os.Stat(path); *update && errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, os.MkdirAll(goldenDir, 0o755))
		require.NoError(t, os.WriteFile(path, goldenText(name, today), 0o644))
	}
	kept = ReadGolden(t, name)
	require.Equal(t, string(goldenText(name, kept)), string(goldenText(name, today)),
		"%s: this format is written in another way than before; docs/versions.md says what a release may change", path)
	return kept
}

// ReadGolden returns what an earlier version wrote, and today's writes no more.
func ReadGolden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(goldenDir, name))
	require.NoError(t, err, "go test -update writes it")
	if filepath.Ext(name) != ".hex" {
		return []byte(strings.TrimSuffix(string(text), "\n"))
	}
	kept, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	require.NoError(t, err, name)
	return kept
}

// goldenText is how a file holds what was written.
func goldenText(name string, written []byte) []byte {
	if filepath.Ext(name) != ".hex" {
		return append(append([]byte(nil), written...), '\n')
	}
	var text []byte
	for len(written) > 0 {
		line := written[:min(hexLine, len(written))]
		text = append(hex.AppendEncode(text, line), '\n')
		written = written[len(line):]
	}
	return text
}
