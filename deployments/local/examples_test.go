package main

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryPackageHasAnExample requires of each package in pkg, but the internal ones, a doc comment and an example that go test runs.
func TestEveryPackageHasAnExample(t *testing.T) {
	const root = "../../pkg"
	packages := 0
	require.NoError(t, filepath.WalkDir(root, func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if d.Name() == "internal" || d.Name() == "testdata" {
			return fs.SkipDir
		}
		documented, examples, code := examplesIn(t, dir)
		if !code {
			return nil
		}
		packages++
		if !documented {
			t.Errorf("%s has no doc comment", dir)
		}
		if examples == 0 {
			t.Errorf("%s has no example with an // Output", dir)
		}
		return nil
	}))
	require.Greater(t, packages, 20)
}

// examplesIn tells whether a directory holds a package, whether that has a doc comment (generated code needs none), and how many
// examples it has that are run.
func examplesIn(t *testing.T, dir string) (documented bool, examples int, code bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		require.NoError(t, err)
		if !strings.HasSuffix(path, "_test.go") {
			code = true
			documented = documented || file.Doc != nil || ast.IsGenerated(file)
			continue
		}
		for _, e := range doc.Examples(file) {
			if e.Output != "" || e.EmptyOutput {
				examples++
			}
		}
	}
	return documented, examples, code
}
