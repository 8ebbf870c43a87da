package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/lockstep/tools/rename"
	"github.com/stretchr/testify/require"
)

// TestUpdateOfThisRepository forks this repository, changes the fork and the template, updates the fork, and builds what changed.
func TestUpdateOfThisRepository(t *testing.T) {
	if testing.Short() {
		t.Skip("did not run: -short, and it builds a fork")
	}
	const root = "../../.."
	list, err := rename.Files(root)
	require.NoError(t, err)
	up := t.TempDir()
	for _, file := range list {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		require.NoError(t, err)
		info, err := os.Stat(filepath.Join(root, filepath.FromSlash(file)))
		require.NoError(t, err)
		write(t, up, map[string]string{file: string(b)})
		require.NoError(t, os.Chmod(filepath.Join(up, filepath.FromSlash(file)), info.Mode().Perm()))
	}
	command(t, up, "git", "init", "--quiet")
	command(t, up, "git", "add", "--all", "--force")
	commit(t, up, nil)
	fork := filepath.Join(t.TempDir(), "fork")
	command(t, up, "git", "clone", "--quiet", up, fork)
	names, err := rename.Of(up)
	require.NoError(t, err)
	forkAs(t, fork, names, rename.Names{Module: "github.com/acme/better-orders", App: "better-orders"})

	edit := func(dir, file, old, now string) {
		text := read(t, dir, file)
		require.Contains(t, text, old, file)
		write(t, dir, map[string]string{file: strings.Replace(text, old, now, 1)})
	}
	edit(fork, "services/worker/handler.go", "acc.Balance += amount(ev.Data)", "acc.Balance += 2 * amount(ev.Data)")
	commit(t, fork, map[string]string{"bench": "gone", "docs/ours.md": "Ours.\n"})

	edit(up, "services/worker/handler.go", "// Account is what we keep for one key.", "// Account is what is kept for one key.")
	edit(up, "pkg/ring/ring.go", "package ring\n", "package ring\n\nimport _ \""+names.Module+"/pkg/sample\"\n")
	edit(up, "Taskfile.yml", "silent: true", "silent: true # as a rule")
	commit(t, up, map[string]string{"pkg/sample/sample.go": "// Package sample is new.\npackage sample\n", "bench/more.go": "package main\n"})
	edit(up, "README.md", "## See it", "## Look at it")
	commit(t, up, nil)

	out, err := update(fork, up)
	require.NoError(t, err, out)
	require.Equal(t, strings.Join([]string{
		"A  pkg/sample/sample.go", "M  .template.json", "M  README.md", "M  Taskfile.yml", "M  pkg/ring/ring.go", "M  services/worker/handler.go",
	}, "\n"), sorted(command(t, fork, "git", "status", "--porcelain")))
	require.Contains(t, read(t, fork, "pkg/ring/ring.go"), `"github.com/acme/better-orders/pkg/sample"`)
	handler := read(t, fork, "services/worker/handler.go")
	require.Contains(t, handler, "acc.Balance += 2 * amount(ev.Data)")
	require.Contains(t, handler, "// Account is what is kept for one key.")
	command(t, fork, "go", "build", "-o", os.DevNull, "./services/worker", "./pkg/ring")
}
