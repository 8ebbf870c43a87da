package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/lockstep/tools/rename"
	"github.com/stretchr/testify/require"
)

var (
	template = rename.Names{Module: "example.org/template", App: "template"}
	orders   = rename.Names{Module: "github.com/acme/orders", App: "orders"}
)

// command runs a program and returns what it prints.
func command(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%v: %s", args, out)
	return strings.TrimSpace(string(out))
}

// write writes files, and removes those whose content is "gone".
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for file, content := range files {
		name := filepath.Join(dir, filepath.FromSlash(file))
		if content == "gone" {
			require.NoError(t, os.RemoveAll(name))
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	}
}

// commit writes files and commits all that is in dir.
func commit(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	write(t, dir, files)
	command(t, dir, "git", "add", "--all")
	command(t, dir, "git", "commit", "--quiet", "--allow-empty", "--message=Change")
}

func read(t *testing.T, dir, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
	require.NoError(t, err)
	return string(b)
}

// smallFiles are those of a small template: lib is a module that only the template changes, app one that a fork changes.
func smallFiles() map[string]string {
	return map[string]string{
		"README.md":              "# Template\n\nThe template.\n",
		".gitignore":             "/bin/\n",
		"Taskfile.yml":           "tasks:\n  one:\n",
		"pkg/go.mod":             "module example.org/template/pkg\n\ngo 1.26.0\n",
		"pkg/appname/appname.go": "package appname\n\nconst (\n\tDefault   = \"template\"\n\tEnvPrefix = \"TEMPLATE\"\n\tTitle     = \"Template\"\n)\n",
		"pkg/lib/lib.go":         "package lib\n\nimport _ \"example.org/template/pkg/appname\"\n\n// One.\n",
		"app/go.mod":             "module example.org/template/app\n\ngo 1.26.0\n",
		"app/go.sum":             "",
		"app/handler.go":         "package app\n\n// Line 1.\n// Line 2.\n// Line 3.\n// Line 4.\n// Line 5.\n",
		"app/old/old.go":         "package old\n",
		"proof/go.mod":           "module example.org/template/proof\n\ngo 1.26.0\n",
		"proof/proof.go":         "package proof\n\n// One.\n",
	}
}

// start returns a template and a fork of it, made as `go tool task fork` makes it.
func start(t *testing.T) (up, fork string) {
	t.Helper()
	up, fork = t.TempDir(), t.TempDir()
	for dir, content := range map[string]map[string]string{up: smallFiles(), fork: smallFiles()} {
		command(t, dir, "git", "init", "--quiet")
		commit(t, dir, content)
	}
	forkAs(t, fork, template, orders)
	return up, fork
}

// forkAs does what `go tool task fork` does to a committed tree, and commits that.
func forkAs(t *testing.T, dir string, from, to rename.Names) {
	t.Helper()
	r := rename.Record{Base: command(t, dir, "git", "rev-parse", "HEAD"), Tree: command(t, dir, "git", "rev-parse", "HEAD:./"), From: from, To: to}
	_, err := rename.Tree(dir, from, to)
	require.NoError(t, err)
	require.NoError(t, rename.WriteRecord(dir, r))
	commit(t, dir, nil)
}

// updateFrom runs the command in fork.
func updateFrom(fork, up string) (string, error) {
	var out strings.Builder
	err := run(fork, []string{up}, &out)
	return out.String(), err
}

// The fork and the template share no history here.
func TestUpdate(t *testing.T) {
	up, fork := start(t)
	commit(t, fork, map[string]string{
		"app/handler.go":     "package app\n\n// Mine 1.\n// Line 2.\n// Line 3.\n// Line 4.\n// Line 5.\n", // its first line
		"app/old":            "gone",
		"proof":              "gone",
		"mine/go.mod":        "module github.com/acme/orders/mine\n\ngo 1.26.0\n",
		"mine/mine.go":       "package mine\n",
		"pkg/lib/mine.go":    "package lib\n",
		"docs/mine.md":       "of ours\n",
		"app/handler_own.go": "package app\n",
	})
	commit(t, up, map[string]string{
		"pkg/lib/lib.go":   "package lib\n\nimport (\n\t_ \"example.org/template/pkg/appname\"\n\t_ \"example.org/template/pkg/more\"\n)\n\n// Two.\n",
		"pkg/more/more.go": "package more\n",
		"Taskfile.yml":     "tasks:\n  one:\n  two:\n",
	})
	commit(t, up, map[string]string{
		"app/handler.go":      "package app\n\n// Line 1.\n// Line 2.\n// Line 3.\n// Line 4.\n// New 5.\n", // its last line
		"app/old/old.go":      "package old\n\n// Changed.\n",
		"proof/proof.go":      "package proof\n\n// Two.\n",
		"proof/new/new.go":    "package proof\n",
		"README.md":           "# Template\n\nThe better template.\n",
		"pkg/gone/of.old":     "x\n",
		"pkg/appname/more.go": "package appname\n",
	})
	out, err := updateFrom(fork, up)
	require.NoError(t, err, out)
	require.Contains(t, out, "2 commits of "+up)
	require.Contains(t, out, "Next: go tool task test")

	require.Equal(t, "package lib\n\nimport (\n\t_ \"github.com/acme/orders/pkg/appname\"\n\t_ \"github.com/acme/orders/pkg/more\"\n)\n\n// Two.\n",
		read(t, fork, "pkg/lib/lib.go"), "replaced")
	require.Equal(t, "tasks:\n  one:\n  two:\n", read(t, fork, "Taskfile.yml"), "replaced, at the root")
	require.Equal(t, "# Orders\n\nThe better template.\n", read(t, fork, "README.md"))
	require.Equal(t, "package app\n\n// Mine 1.\n// Line 2.\n// Line 3.\n// Line 4.\n// New 5.\n", read(t, fork, "app/handler.go"), "merged")
	for _, file := range []string{"app/old", "proof"} {
		require.NoDirExists(t, filepath.Join(fork, file), "what the fork deleted stays deleted")
	}
	for file, content := range map[string]string{
		"mine/mine.go": "package mine\n", "pkg/lib/mine.go": "package lib\n", "docs/mine.md": "of ours\n", "app/handler_own.go": "package app\n",
	} {
		require.Equal(t, content, read(t, fork, file), "only the fork has it")
	}
	require.Equal(t, "package more\n", read(t, fork, "pkg/more/more.go"))
	require.Empty(t, command(t, fork, "git", "diff", "--name-only"), "all of it is staged")
	record, err := rename.ReadRecord(fork)
	require.NoError(t, err)
	require.Equal(t, rename.Record{
		Schema: 1, Base: command(t, up, "git", "rev-parse", "HEAD"), Tree: command(t, up, "git", "rev-parse", "HEAD:./"), From: template, To: orders,
	}, record)

	// A second one begins where the first ended.
	commit(t, fork, nil)
	out, err = updateFrom(fork, up)
	require.NoError(t, err)
	require.Contains(t, out, "has nothing newer than")
	require.Empty(t, command(t, fork, "git", "status", "--porcelain"))
	commit(t, up, map[string]string{"pkg/lib/lib.go": "package lib\n\n// Three.\n", "pkg/more": "gone"})
	out, err = updateFrom(fork, up)
	require.NoError(t, err, out)
	require.Equal(t, "D  pkg/more/more.go\nM  .template.json\nM  pkg/lib/lib.go",
		sorted(command(t, fork, "git", "status", "--porcelain")), "and of the first nothing is done again")
}

// sorted sorts lines by what stands in front, and trims them.
func sorted(lines string) string {
	list := strings.Split(lines, "\n")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// Conflicts are marked as git marks them. Once they are resolved, the next update goes on from there.
func TestUpdateWithConflicts(t *testing.T) {
	up, fork := start(t)
	commit(t, fork, map[string]string{"app/handler.go": strings.Replace(smallFiles()["app/handler.go"], "Line 3", "Mine 3", 1), "app/old/old.go": "package old\n\n// Mine.\n"})
	commit(t, up, map[string]string{
		"app/handler.go": strings.Replace(smallFiles()["app/handler.go"], "Line 3", "New 3", 1), "app/old": "gone", "pkg/lib/lib.go": "package lib\n",
	})
	out, err := updateFrom(fork, up)
	require.ErrorIs(t, err, errConflicts)
	require.Contains(t, out, "Conflicts in 2 files, marked as git marks them:\n  app/handler.go\n  app/old/old.go\n")
	text := read(t, fork, "app/handler.go")
	require.Contains(t, text, "<<<<<<< HEAD\n// Mine 3.\n")
	require.Contains(t, text, "=======\n// New 3.\n>>>>>>> ")
	require.Contains(t, text, "(Update the template to "+command(t, up, "git", "rev-parse", "HEAD")[:12]+")\n")
	require.Equal(t, "package lib\n", read(t, fork, "pkg/lib/lib.go"))

	command(t, fork, "git", "reset", "--quiet", "--hard") // given up
	require.Empty(t, command(t, fork, "git", "status", "--porcelain"))
	_, err = updateFrom(fork, up)
	require.ErrorIs(t, err, errConflicts, "and begun again")
	commit(t, fork, map[string]string{"app/handler.go": strings.Replace(smallFiles()["app/handler.go"], "Line 3", "Ours 3", 1)})
	commit(t, up, map[string]string{"app/handler.go": "package app\n\n// New 1.\n" + strings.Replace(smallFiles()["app/handler.go"], "Line 3", "New 3", 1)[len("package app\n\n// Line 1.\n"):]})
	out, err = updateFrom(fork, up)
	require.NoError(t, err, out)
	require.Contains(t, read(t, fork, "app/handler.go"), "// New 1.\n// Line 2.\n// Ours 3.\n")
}

// The template and the fork may each be a directory of a larger repository.
func TestUpdateInADirectoryOfARepository(t *testing.T) {
	up, fork := start(t)
	larger := func(dir string) string {
		repository := filepath.Join(t.TempDir(), "larger")
		require.NoError(t, os.RemoveAll(filepath.Join(dir, ".git")))
		require.NoError(t, os.Mkdir(repository, 0o755))
		require.NoError(t, os.Rename(dir, filepath.Join(repository, "below")))
		command(t, repository, "git", "init", "--quiet")
		commit(t, repository, map[string]string{"README.md": "of all\n"})
		return filepath.Join(repository, "below")
	}
	up, fork = larger(up), larger(fork)
	commit(t, up, map[string]string{"pkg/lib/lib.go": "package lib\n", "README.md": "# Template\n\nBetter.\n"})
	out, err := updateFrom(fork, up)
	require.NoError(t, err, out)
	require.Equal(t, "package lib\n", read(t, fork, "pkg/lib/lib.go"))
	require.Equal(t, "# Orders\n\nBetter.\n", read(t, fork, "README.md"))
	require.Equal(t, "of all\n", read(t, fork, "../README.md"))
}

// A fork may itself be a template, of which there are forks.
func TestUpdateFromAFork(t *testing.T) {
	up, fork := start(t)
	second := t.TempDir()
	command(t, fork, "git", "clone", "--quiet", fork, second)
	shop := rename.Names{Module: "shop", App: "shop"}
	forkAs(t, second, orders, shop)
	commit(t, up, map[string]string{"pkg/lib/lib.go": "package lib\n\nimport _ \"example.org/template/pkg/appname\"\n\n// Two.\n"})
	_, err := updateFrom(fork, up)
	require.NoError(t, err)
	commit(t, fork, nil)
	out, err := updateFrom(second, fork)
	require.NoError(t, err, out)
	require.Equal(t, "package lib\n\nimport _ \"shop/pkg/appname\"\n\n// Two.\n", read(t, second, "pkg/lib/lib.go"))
	commit(t, second, nil)
	_, err = updateFrom(second, up)
	require.ErrorContains(t, err, "has no commit with the files that were forked")
}

// Each refusal is one line, and leaves the fork as it was.
func TestUpdateRefuses(t *testing.T) {
	up, fork := start(t)
	commit(t, up, map[string]string{"pkg/lib/lib.go": "package lib\n"})
	shallow := filepath.Join(t.TempDir(), "shallow")
	command(t, up, "git", "clone", "--quiet", "--depth=1", "file://"+up, shallow)
	other := t.TempDir()
	command(t, other, "git", "init", "--quiet")
	commit(t, other, map[string]string{"README.md": "# Other\n"})
	refuse := func(says, dir string, args ...string) {
		t.Helper()
		before := command(t, dir, "git", "status", "--porcelain")
		err := run(dir, args, &strings.Builder{})
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "\n")
		require.Equal(t, before, command(t, dir, "git", "status", "--porcelain"))
	}
	refuse("want FROM=", fork)
	refuse("want FROM=", fork, "")
	refuse("only a copy that was made with go tool task fork", up, fork)
	refuse("is a shallow clone, whose history ends early; run: git -C "+shallow+" fetch --unshallow", fork, shallow)
	refuse("is no checkout of the template", fork, t.TempDir())
	refuse("is no checkout of the template", fork, filepath.Join(fork, "nowhere"))
	refuse("has no commit with the files that were forked", fork, other)
	write(t, fork, map[string]string{"new.txt": ""})
	refuse("1 files have changes that are not committed, the first is new.txt", fork, up)
}
