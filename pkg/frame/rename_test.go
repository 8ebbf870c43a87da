package frame

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	module   = ".."             // the directory of our module
	thisFile = "rename_test.go" // left out of copies, or it would copy without end
)

// A fork renames the module. Generated code holds names with their lengths: none of them may be of our module path.
func TestModuleCanBeRenamed(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(mod), "\n")
	own, ok := strings.CutSuffix(strings.TrimPrefix(line, "module "), "/pkg")
	require.True(t, ok, line)
	dir := t.TempDir()
	for _, path := range []string{
		"a.b/cd",
		"example.org/a",
		"github.com/me/app",
		"example.org/lockstep", // as long as the path that we begin with
		"github.com/my-company/orders-pipeline",
		"git.internal.example.org/platform/payments/event-backend/app",
	} {
		t.Run(path, func(t *testing.T) {
			copied := filepath.Join(dir, path)
			for _, files := range []string{"go.mod", "go.sum", "frame/*.go", "frame/*/*.go", "aside/*.go", "aside/*/*.go"} {
				copyRenamed(t, files, copied, own, path)
			}
			test := exec.Command("go", "test", "./frame/...", "./aside/...")
			test.Dir, test.Env = copied, append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false")
			out, err := test.CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}

// copyRenamed copies files of the module, with its path replaced.
func copyRenamed(t *testing.T, files, to, own, path string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(module, files))
	require.NoError(t, err)
	require.NotEmpty(t, names, files)
	for _, name := range names {
		if filepath.Base(name) == thisFile {
			continue
		}
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		rel, err := filepath.Rel(module, name)
		require.NoError(t, err)
		file := filepath.Join(to, rel)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, bytes.ReplaceAll(b, []byte(own), []byte(path)), 0o644))
	}
}
