package mutations

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Edit replaces a text that occurs just once in a file. The file is named from pkg, or by its absolute path.
type Edit struct{ File, Old, New string }

// Root returns the absolute path of the repository around the working directory.
func Root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir
		}
		require.NotEqual(t, filepath.Dir(dir), dir, "no directory above this one has a go.work")
		dir = filepath.Dir(dir)
	}
}

// Overlay writes the edited copies and returns the flag by which a go command reads them in place of the sources, which
// stay as they are. Files in without do not exist for that command.
func Overlay(t *testing.T, edits []Edit, without ...string) (flag string) {
	t.Helper()
	texts := make(map[string]string) // by absolute path
	for _, e := range edits {
		path := e.File
		if !filepath.IsAbs(path) {
			path = filepath.Join(Root(t), "pkg", path)
		}
		if _, read := texts[path]; !read {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			texts[path] = string(b)
		}
		require.Equal(t, 1, strings.Count(texts[path], e.Old), "%q in %s: the source has changed, and the edit must too", e.Old, e.File)
		texts[path] = strings.Replace(texts[path], e.Old, e.New, 1)
	}
	dir := t.TempDir()
	replace := make(map[string]string)
	for _, path := range without {
		replace[path] = ""
	}
	for path, text := range texts {
		replace[path] = filepath.Join(dir, fmt.Sprintf("%d-%s", len(replace), filepath.Base(path)))
		require.NoError(t, os.WriteFile(replace[path], []byte(text), 0o600))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	path := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(path, overlay, 0o600))
	return "-overlay=" + path
}

// Build builds the tests of the package in a directory of the repository with edits, and returns the binary. flags are more
// of the build's. keep tells which files of the package's tests stay, nil: all; without servers they link in a third of the time.
func Build(t *testing.T, dir string, edits []Edit, keep func(file string) bool, flags ...string) (binary string) {
	t.Helper()
	dir = filepath.Join(Root(t), dir)
	tests, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	var without []string
	for _, test := range tests {
		if keep != nil && !keep(filepath.Base(test)) {
			without = append(without, test)
		}
	}
	binary = filepath.Join(t.TempDir(), "mutated.test")
	args := append([]string{"test", "-c", Overlay(t, edits, without...), "-ldflags=-s -w", "-o", binary}, flags...)
	build := exec.Command("go", append(args, ".")...)
	build.Dir = dir
	build.Env = append(os.Environ(), "GOWORK=off")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "the mutated copy does not compile:\n%s", said)
	return binary
}

// findTime is how long a mutant's test may take, unless its arguments say otherwise: a test that hangs would outlive its parent.
const findTime = 5 * time.Minute

// Find runs a mutant's test, which must fail with an output that contains says.
func Find(t *testing.T, binary, says string, args ...string) {
	t.Helper()
	args = append([]string{"-test.timeout=" + findTime.String()}, args...) // of two the last one counts
	cmd := exec.Command(binary, args...)
	cmd.Dir = t.TempDir() // rapid writes the failures it found there
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "not found. It said:\n%s", out)
	require.Contains(t, string(out), says)
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, says) {
			t.Log(strings.TrimSpace(line))
			break
		}
	}
}
