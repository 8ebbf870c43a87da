// Package golden holds formats to what earlier versions wrote: files in testdata/golden of the package that writes them.
package golden

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

// update has Check write the files that are not there yet.
var update = flag.Bool("update", false, "write the golden files that are not there yet; those that are there stay")

// dir holds what an earlier version wrote, seen from the test's package.
const dir = "testdata/golden"

// hexLine is how many bytes a line of a file with the extension .hex holds.
const hexLine = 32

// Check requires that a format is written today as an earlier version wrote it, which is kept in testdata/golden, and returns the
// bytes that are kept. A name with the extension .hex is for bytes, any other for a text. `go test -update` writes a file that is not
// there yet, and never one that is: what a release may change is in docs/versions.md.
func Check(t testing.TB, name string, today []byte) (kept []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); *update && errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(path, text(name, today), 0o644))
	}
	kept = Read(t, name)
	require.Equal(t, string(text(name, kept)), string(text(name, today)),
		"%s: this format is written in another way than before; docs/versions.md says what a release may change", path)
	return kept
}

// Read returns what an earlier version wrote, and today's writes no more.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err, "go test -update writes it")
	if filepath.Ext(name) != ".hex" {
		return []byte(strings.TrimSuffix(string(file), "\n"))
	}
	kept, err := hex.DecodeString(strings.Join(strings.Fields(string(file)), ""))
	require.NoError(t, err, name)
	return kept
}

// text is how a file holds what was written.
func text(name string, written []byte) []byte {
	if filepath.Ext(name) != ".hex" {
		return append(append([]byte(nil), written...), '\n')
	}
	var lines []byte
	for len(written) > 0 {
		line := written[:min(hexLine, len(written))]
		lines = append(hex.AppendEncode(lines, line), '\n')
		written = written[len(line):]
	}
	return lines
}
