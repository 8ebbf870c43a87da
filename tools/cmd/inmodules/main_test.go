package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository makes one with the module a, bound by go.work, the module b outside it, and pins, which has no Go files.
func repository(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	for file, text := range map[string]string{
		"go.work": "go 1.26.0\n\nuse ./a\n", "a/go.mod": "module m/a\n", "a/a.go": "package a\n",
		"b/go.mod": "module m/b\n", "b/b.go": "package b\n", "pins/go.mod": "module m/pins\n",
	} {
		file = filepath.Join(root, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	return root
}

func TestRun(t *testing.T) {
	root := repository(t)
	show := []string{"sh", "-c", `echo "$(basename "$PWD") $GOWORK"`}
	var out strings.Builder
	require.NoError(t, run(t.Context(), filepath.Join(root, "a"), show, &out))
	require.Equal(t, "--- a\na "+root+"/go.work\n--- b\nb off\n--- pins\npins off\n", out.String())

	out.Reset()
	require.NoError(t, run(t.Context(), root, append([]string{"-packages"}, show...), &out))
	require.NotContains(t, out.String(), "pins")
}

func TestRunGoesOnAfterAFailure(t *testing.T) {
	var out strings.Builder
	err := run(t.Context(), repository(t), []string{"sh", "-c", `echo "seen $(basename "$PWD")"; test -f b.go`}, &out)
	require.EqualError(t, err, "sh failed in a, pins")
	for _, line := range []string{"seen a\n    FAILED in a: exit status 1\n", "seen b\n", "seen pins\n    FAILED in pins"} {
		require.Contains(t, out.String(), line)
	}
}

func TestRunOfNothing(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), ".", []string{"-packages"}, nil), "no command is given")
}
