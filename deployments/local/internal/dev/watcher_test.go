package dev

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
)

func TestWatcher(t *testing.T) {
	root := t.TempDir()
	write := func(name string) string {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
		return path
	}
	write("a/b/known.go")
	write(".git/known.go")
	w, err := newWatcher(root, new(sources).matter)
	require.NoError(t, err)
	defer w.close()
	next := func(want ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), programs.Patience)
		defer cancel()
		<-w.fresh()
		paths, err := w.next(ctx)
		require.NoError(t, err)
		require.Equal(t, want, paths)
	}

	write("a/b/known_test.go")
	write("a/b/notes.txt")
	write("a/b/.known.go.swp.go")
	write(".git/known.go")
	next(write("a/b/known.go"), write("a/go.mod"))

	next(write("a/new/deep/one.go")) // a file in folders that are new
	next(write("a/new/deep/one.go"), write("a/new/two.go"))

	// An editor may save by another file that takes the name.
	require.NoError(t, os.Rename(write("a/b/known.go~"), filepath.Join(root, "a/b/known.go")))
	next(filepath.Join(root, "a/b/known.go"))
	require.NoError(t, os.Remove(filepath.Join(root, "a/b/known.go")))
	next(filepath.Join(root, "a/b/known.go"))

	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = w.next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// A change concerns the programs that depend on its package.
func TestSources(t *testing.T) {
	root, err := filepath.EvalSymlinks(programs.InRoot(t, "."))
	require.NoError(t, err)
	s, err := listSources(t.Context(), root, []string{"router", "worker", "producer"})
	require.NoError(t, err)
	for file, want := range map[string][]string{
		"services/worker/handler.go":           {"worker"},
		"services/worker/new.go":               {"worker"},
		"services/worker/handler_test.go":      nil,
		"pkg/consume/new.go":                   {"worker"},
		"pkg/route/new.go":                     {"router"},
		"pkg/topology/new.go":                  {"router", "worker", "producer"},
		"deployments/local/stack/stack.go":     nil,
		"pkg/load/profiles/smoke.yaml":         {"producer"}, // embedded
		"services/worker/internal/parked/x.go": nil,          // a package that nothing imports
		"pkg/go.mod":                           {"router", "worker", "producer"},
	} {
		path := filepath.Join(root, file)
		var got []string
		for _, p := range []string{"router", "worker", "producer"} {
			if s.of(p, path) {
				got = append(got, p)
			}
		}
		require.Equal(t, want, got, file)
		require.True(t, want == nil || s.matter(path), file)
	}
}
