package testkit

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

// Edit replaces a text that occurs just once in a file.
type Edit struct{ File, Old, New string }

// Mutant builds the tests of the package in dir with edits made in its module, whose files are named from root, or in other
// sources, which are named from the file system's, and returns the binary. The sources stay as they are: the mutated copies
// come by way of an overlay. Of the package's tests those files stay that keep says, nil: all; without servers it links in
// a third of the time. flags are more of the build's.
func Mutant(t *testing.T, root, dir string, edits []Edit, keep func(file string) bool, flags ...string) string {
	t.Helper()
	out := t.TempDir()
	texts := make(map[string]string) // by absolute name
	for _, e := range edits {
		name := e.File
		if !filepath.IsAbs(name) {
			var err error
			name, err = filepath.Abs(filepath.Join(root, name))
			require.NoError(t, err)
		}
		if _, read := texts[name]; !read {
			b, err := os.ReadFile(name)
			require.NoError(t, err)
			texts[name] = string(b)
		}
		require.Equal(t, 1, strings.Count(texts[name], e.Old), "%q in %s: the source has changed, and the mutation must too", e.Old, e.File)
		texts[name] = strings.Replace(texts[name], e.Old, e.New, 1)
	}
	replace := make(map[string]string)
	tests, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	require.NoError(t, err)
	for _, test := range tests {
		if keep != nil && !keep(filepath.Base(test)) {
			name, err := filepath.Abs(test)
			require.NoError(t, err)
			replace[name] = ""
		}
	}
	for name, text := range texts {
		replace[name] = filepath.Join(out, fmt.Sprintf("%d-%s", len(replace), filepath.Base(name)))
		require.NoError(t, os.WriteFile(replace[name], []byte(text), 0o600))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(out, "overlay.json"), overlay, 0o600))
	binary := filepath.Join(out, "mutated.test")
	args := append([]string{"test", "-c", "-overlay", filepath.Join(out, "overlay.json"), "-ldflags=-s -w", "-o", binary}, flags...)
	build := exec.Command("go", append(args, ".")...)
	build.Dir = filepath.Join(root, dir)
	said, err := build.CombinedOutput()
	require.NoError(t, err, "the mutated copy does not compile:\n%s", said)
	return binary
}

// findTime is how long a mutant's test may take, unless its arguments say otherwise: what hangs would outlive us.
const findTime = 5 * time.Minute

// FindMutant runs a mutant's test, which must fail with an output that contains says.
func FindMutant(t *testing.T, binary, says string, args ...string) {
	t.Helper()
	args = append([]string{"-test.timeout=" + findTime.String()}, args...) // of two the last one counts
	cmd := exec.Command(binary, args...)
	cmd.Dir = t.TempDir() // rapid leaves what it found where it runs
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
