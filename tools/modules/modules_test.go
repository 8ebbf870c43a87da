package modules

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, root, file, text string) {
	t.Helper()
	file = filepath.Join(root, file)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}

func TestList(t *testing.T) {
	root := t.TempDir()
	write(t, root, "go.work", "go 1.26.0\n\nuse (\n\t./a\n\t./a/b\n)\n")
	write(t, root, "a/go.mod", "module m/a\n")
	write(t, root, "a/x/y/y.go", "package y\n")
	write(t, root, "a/b/go.mod", "module m/a/b\n")
	write(t, root, "a/b/b_test.go", "package b\n")
	write(t, root, "pins/go.mod", "module m/pins\n")
	write(t, root, "a/testdata/go.mod", "module m/data\n")
	write(t, root, ".hidden/go.mod", "module m/hidden\n")
	write(t, root, "_old/go.mod", "module m/old\n")

	list, err := List(root)
	require.NoError(t, err)
	require.Equal(t, []Module{
		{Dir: "a", Path: "m/a", InWorkspace: true, Packages: true},
		{Dir: "a/b", Path: "m/a/b", InWorkspace: true, Packages: true},
		{Dir: "pins", Path: "m/pins"},
	}, list)
	found, err := Root(filepath.Join(root, "a", "x"))
	require.NoError(t, err)
	require.Equal(t, root, found)

	require.NoError(t, os.Remove(filepath.Join(root, "a/b/go.mod")))
	_, err = List(root)
	require.ErrorContains(t, err, "go.work binds a/b, which has no go.mod")
	_, err = Root(t.TempDir())
	require.ErrorContains(t, err, "find go.work")
}
