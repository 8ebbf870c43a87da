package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/lockstep/tools/rename"
	"github.com/stretchr/testify/require"
)

var template = rename.Names{Module: "example.org/template", App: "template"}

// write puts a small template into a new directory.
func write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for file, content := range map[string]string{
		"README.md":              "# Template\n\nThe template.\n",
		".gitignore":             "/bin/\n",
		"pkg/go.mod":             "module example.org/template/pkg\n\ngo 1.26.0\n",
		"pkg/appname/appname.go": "package appname\n\nconst (\n\tDefault   = \"template\"\n\tEnvPrefix = \"TEMPLATE\"\n\tTitle     = \"Template\"\n)\n",
		"bin/main.go":            "package main\n\nimport _ \"example.org/template/pkg/appname\"\n",
		"event.txt":              "template\n",
	} {
		name := filepath.Join(dir, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	}
	return dir
}

// command runs git and returns what it prints.
func command(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "git %v: %s", args, out)
	return strings.TrimSpace(string(out))
}

// commit makes a repository of a directory, if it is none, and commits all that is in it.
func commit(t *testing.T, dir string) {
	t.Helper()
	command(t, dir, "init", "--quiet")
	command(t, dir, "add", "--all")
	command(t, dir, "commit", "--quiet", "--message=Initial commit")
}

func fork(t *testing.T, dir string, args ...string) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, run(dir, args, &out))
	return out.String()
}

func TestForkIsStagedRecordedAndUndoneByGit(t *testing.T) {
	dir := write(t)
	commit(t, dir)
	head, tree := command(t, dir, "rev-parse", "HEAD"), command(t, dir, "rev-parse", "HEAD^{tree}")
	out := fork(t, dir, "github.com/acme/order-book")
	require.Contains(t, out, "modules: example.org/template/... is github.com/acme/order-book/...\n")
	require.Contains(t, out, "app:     template is order-book; variables of the environment begin with ORDER_BOOK_\n")
	require.Contains(t, out, "changed: 3 files (1 .go, 1 go.mod, 1 .md), and wrote .template.json\n")
	require.Equal(t, "A  .template.json\nM  README.md\nM  pkg/appname/appname.go\nM  pkg/go.mod", command(t, dir, "status", "--porcelain"))

	record, err := rename.ReadRecord(dir)
	require.NoError(t, err)
	names := rename.Names{Module: "github.com/acme/order-book", App: "order-book"}
	require.Equal(t, rename.Record{Schema: 1, Base: head, Tree: tree, From: template, To: names}, record)
	got, err := rename.Of(dir)
	require.NoError(t, err)
	require.Equal(t, names, got)
	b, err := os.ReadFile(filepath.Join(dir, "bin/main.go"))
	require.NoError(t, err)
	require.Contains(t, string(b), "example.org/template/pkg/appname", "a file that git ignores")

	command(t, dir, "reset", "--quiet", "--hard")
	require.Empty(t, command(t, dir, "status", "--porcelain"))
	require.NoFileExists(t, filepath.Join(dir, rename.RecordFile))
}

func TestForkOfAForkRemembersTheFirst(t *testing.T) {
	dir := write(t)
	commit(t, dir)
	fork(t, dir, "event")
	first, err := rename.ReadRecord(dir)
	require.NoError(t, err)
	commit(t, dir)
	fork(t, dir, "github.com/acme/orders", "shop")
	second, err := rename.ReadRecord(dir)
	require.NoError(t, err)
	require.Equal(t, rename.Record{
		Schema: 1, Base: command(t, dir, "rev-parse", "HEAD"), Tree: command(t, dir, "rev-parse", "HEAD^{tree}"),
		From: rename.Names{Module: "event", App: "event"}, To: rename.Names{Module: "github.com/acme/orders", App: "shop"}, Before: &first,
	}, second)
	b, err := os.ReadFile(filepath.Join(dir, "event.txt"))
	require.NoError(t, err)
	require.Equal(t, "template\n", string(b))
}

// The template may be a directory of a larger repository: what else is in that does not matter.
func TestForkInADirectoryOfARepository(t *testing.T) {
	dir := write(t)
	repository := t.TempDir()
	require.NoError(t, os.Rename(dir, filepath.Join(repository, "orders")))
	dir = filepath.Join(repository, "orders")
	commit(t, repository)
	other := filepath.Join(repository, "other.txt")
	require.NoError(t, os.WriteFile(other, nil, 0o644))
	fork(t, dir, "example.org/shop/orders")
	require.Equal(t, "A  orders/.template.json\nM  orders/README.md\nM  orders/pkg/appname/appname.go\nM  orders/pkg/go.mod\n?? other.txt",
		command(t, repository, "status", "--porcelain"))
	record, err := rename.ReadRecord(dir)
	require.NoError(t, err)
	require.Equal(t, command(t, repository, "rev-parse", "HEAD:orders"), record.Tree)
}

// Each refusal is one line, and leaves the tree as it was.
func TestForkRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(dir string)
		args    []string
		says    string
	}{
		"no module":              {nil, nil, "want MODULE="},
		"an empty module":        {nil, []string{"", "orders"}, "want MODULE="},
		"more than it knows":     {nil, []string{"a.b/c", "d", "e"}, "want MODULE="},
		"a bad module":           {nil, []string{"github.com/acme/my orders"}, "MODULE \"github.com/acme/my orders\": "},
		"a URL":                  {nil, []string{"https://github.com/acme/orders"}, "without a scheme"},
		"a path of Go's own":     {nil, []string{"time"}, "Go's own packages begin with time"},
		"a bad app":              {nil, []string{"github.com/acme/orders", "My Orders"}, `app "My Orders": want a letter`},
		"a module that names no": {nil, []string{"github.com/acme/3orders"}, "give one with APP="},
		"the names it has":       {nil, []string{template.Module, template.App}, "the names that the tree has"},
		"a changed file": {func(dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "event.txt"), nil, 0o644))
		}, []string{"github.com/acme/orders"}, "1 files have changes that are not committed, the first is event.txt; commit them"},
		"a new file": {func(dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "new.txt"), nil, 0o644))
		}, []string{"github.com/acme/orders"}, "the first is new.txt; commit them"},
		"an unpacked archive": {func(dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, ".git")))
		}, []string{"github.com/acme/orders"}, "run first: git init && git add --all && git commit -m Template"},
		"nothing committed": {func(dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, ".git")))
			command(t, dir, "init", "--quiet")
		}, []string{"github.com/acme/orders"}, "nothing of this directory is committed to git; run first: git add --all"},
		"a record of another version": {func(dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, rename.RecordFile), []byte(`{"schema":7}`), 0o644))
			commit(t, dir)
		}, []string{"github.com/acme/orders"}, "schema 7, want 1"},
		"no template": {func(dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "pkg")))
			commit(t, dir)
		}, []string{"github.com/acme/orders"}, "pkg/go.mod"},
		"no constants": {func(dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "pkg/appname/appname.go"), []byte("package appname\n"), 0o644))
			commit(t, dir)
		}, []string{"github.com/acme/orders"}, "no constant Default that is a string"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t)
			t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir)) // it is in no repository of others
			commit(t, dir)
			if c.prepare != nil {
				c.prepare(dir)
			}
			err := run(dir, c.args, new(strings.Builder))
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "\n")
			if b, err := os.ReadFile(filepath.Join(dir, "pkg/go.mod")); err == nil {
				require.Equal(t, "module example.org/template/pkg\n\ngo 1.26.0\n", string(b))
			}
		})
	}
}
