package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A fork without changes becomes the newer template's fork, in every folder and at the root, whether or not it has the
// template's history.
func TestUnchangedFilesAreReplaced(t *testing.T) {
	for name, history := range map[string]bool{"a clone": true, "no history in common": false} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, history)
			changes := map[string]string{
				"pkg/fresh/fresh.go":     "// Package fresh is new.\npackage fresh\n\nimport _ \"example.org/template/pkg/count\"\n",
				"services/extra/go.mod":  "module example.org/template/services/extra\n\ngo 1.26.0\n",
				"services/extra/main.go": "// Command extra is new.\npackage main\n\nfunc main() {}\n",
				"go.work":                "go 1.26.0\n\nuse (\n\t./pkg\n\t./services/extra\n\t./services/worker\n)\n",
			}
			for _, file := range slices.Sorted(maps.Keys(small)) {
				switch comment := map[string]string{".go": "// More.\n", ".mod": "// More.\n"}[filepath.Ext(file)]; {
				case changes[file] != "":
				case comment == "":
					changes[file] = small[file] + "# More\n"
				default:
					changes[file] = small[file] + "\n" + comment
				}
			}
			s.change(s.template, changes)
			s.git(s.template, "mv", "bench", "measure")
			s.git(s.template, "rm", "--quiet", "docs/why.md")
			s.commit(s.template)
			out := s.update()
			require.Contains(t, out, "Files: 5 new, 11 replaced, 0 merged with your changes, 3 deleted or moved\n")
			s.requireRecord()
			s.commit(s.fork)

			fresh := s.copied(s.template, false)
			s.makeFork(fresh, "github.com/acme/orders", "orders")
			s.write(fresh, map[string]string{".template.json": s.read(s.fork, ".template.json")})
			s.commit(fresh)
			require.Equal(t, s.git(fresh, "ls-tree", "-r", "HEAD"), s.git(s.fork, "ls-tree", "-r", "HEAD"))
			s.git(fresh, "diff", "--exit-code")
		})
	}
}

func TestTheUpdateIsStagedAndUndoneByGit(t *testing.T) {
	s := newScene(t, true)
	s.change(s.template, map[string]string{"docs/why.md": "# Why\n\nTherefore.\n", "docs/new.md": "# New\n"})
	before := s.git(s.fork, "rev-parse", "HEAD")
	out := s.update()
	require.Contains(t, out, "Keep it: git commit.")
	require.Equal(t, "M  .template.json\nA  docs/new.md\nM  docs/why.md", s.git(s.fork, "status", "--porcelain"))
	require.Equal(t, before, s.git(s.fork, "rev-parse", "HEAD"))
	s.git(s.fork, "reset", "--quiet", "--hard")
	require.Empty(t, s.git(s.fork, "status", "--porcelain"))

	s.update()
	s.git(s.fork, "commit", "--quiet") // its message is prepared
	require.Contains(t, s.git(s.fork, "log", "-1", "--format=%s"), "Update the template to "+short(s.git(s.template, "rev-parse", "HEAD")))
	require.Contains(t, s.update(), "has nothing newer than")
	require.Empty(t, s.git(s.template, "status", "--porcelain"))
}

func TestChangedFilesAreMerged(t *testing.T) {
	s := newScene(t, false)
	s.replace(s.template, "pkg/count/count.go", "return 1", "return 11")
	s.replace(s.template, "README.md", "Its end", "Its new end")
	s.git(s.template, "mv", "services/worker/handler.go", "services/worker/rules.go")
	s.commit(s.template)
	s.replace(s.fork, "pkg/count/count.go", "return 3", "return 33")
	s.replace(s.fork, "README.md", "# Orders", "# Our orders")
	s.replace(s.fork, "services/worker/handler.go", "count.Two()", "count.Three()")
	s.commit(s.fork)
	require.Contains(t, s.update(), "2 merged with your changes")
	require.Equal(t, "# Our orders\n\nThe template.\n\nIts new end.\n", s.read(s.fork, "README.md"))
	count := s.read(s.fork, "pkg/count/count.go")
	require.Contains(t, count, "return 11")
	require.Contains(t, count, "return 33")
	require.Contains(t, count, `"github.com/acme/orders/pkg/appname"`)
	require.Contains(t, s.read(s.fork, "services/worker/rules.go"), "count.Three()", "a change in a file that the template moved")
	require.NoFileExists(t, filepath.Join(s.fork, "services/worker/handler.go"))
	s.command(filepath.Join(s.fork, "services/worker"), "go", "build", "-o", os.DevNull, "./...")
}

// A conflict is git's own; the record moves on in the commit that ends it, and the next update begins there.
func TestAnUpdateWithConflictsCanBeFinished(t *testing.T) {
	s := newScene(t, false)
	s.replace(s.template, "pkg/count/count.go", "return 2", "return 22")
	s.write(s.template, map[string]string{"docs/why.md": "# Why\n\nTherefore.\n"})
	s.git(s.template, "rm", "--quiet", "Taskfile.yml")
	s.commit(s.template)
	s.replace(s.fork, "pkg/count/count.go", "return 2", "return 222")
	s.change(s.fork, map[string]string{"Taskfile.yml": "version: '3'\n# ours\n"})
	out := s.conflicting(2)
	require.Contains(t, out, ":\n  Taskfile.yml\n  pkg/count/count.go\n")
	require.Equal(t, "M  .template.json\nUD Taskfile.yml\nM  docs/why.md\nUU pkg/count/count.go", byFile(s.git(s.fork, "status", "--porcelain")))
	count := s.read(s.fork, "pkg/count/count.go")
	require.Regexp(t, `(?s)<<<<<<< HEAD\n.*return 222 .*=======\n.*return 22 .*>>>>>>> [0-9a-f]+ \(Update the template to `, count)
	s.requireRecord()

	begin, end := strings.Index(count, "<<<<<<<"), strings.Index(count, ">>>>>>>")
	end += strings.Index(count[end:], "\n") + 1
	s.write(s.fork, map[string]string{"pkg/count/count.go": count[:begin] + "func Two() int { return 2222 }\n" + count[end:]})
	s.git(s.fork, "add", "pkg/count/count.go", "Taskfile.yml")
	s.git(s.fork, "commit", "--quiet")

	s.replace(s.template, "pkg/count/count.go", "return 3", "return 33")
	s.commit(s.template)
	s.update()
	count = s.read(s.fork, "pkg/count/count.go")
	require.Contains(t, count, "return 2222")
	require.Contains(t, count, "return 33")
	require.Equal(t, "version: '3'\n# ours\n", s.read(s.fork, "Taskfile.yml"))
	s.requireRecord()
}

// byFile sorts the lines of git status by file.
func byFile(lines string) string {
	list := strings.Split(lines, "\n")
	slices.SortFunc(list, func(a, b string) int { return strings.Compare(a[3:], b[3:]) })
	return strings.Join(list, "\n")
}

// An update that was given up leaves the record as it was, so it can be made again.
func TestAnUpdateWithConflictsCanBeGivenUp(t *testing.T) {
	s := newScene(t, true)
	s.change(s.template, map[string]string{"docs/why.md": "# Why\n\nTherefore.\n"})
	s.change(s.fork, map[string]string{"docs/why.md": "# Why\n\nFor us.\n"})
	s.conflicting(1)
	s.git(s.fork, "reset", "--quiet", "--hard")
	require.Empty(t, s.git(s.fork, "status", "--porcelain"))
	s.change(s.fork, map[string]string{"docs/why.md": "# Why\n\nBecause.\n"})
	s.update()
	require.Equal(t, "# Why\n\nTherefore.\n", s.read(s.fork, "docs/why.md"))
}

func TestDeletedFilesStayDeleted(t *testing.T) {
	s := newScene(t, false)
	s.change(s.template, map[string]string{
		"docs/why.md":          "# Why\n\nTherefore.\n",
		"bench/bench.go":       "// Command bench measures more.\npackage main\n\nfunc main() {}\n",
		"bench/more.go":        "package main\n",
		"bench/figures/fig.go": "package figures\n",
		"bench/go.sum":         "example.org/some v1.0.0 h1:RPNrshWIDI6G2gRW9EHilWtl7Z6Sb1BR0xunSBf0SNc=\n",
		"docs/new.md":          "# New\n",
	})
	s.change(s.fork, map[string]string{"docs/why.md": "", "bench": "", "docs/ours.md": "# Ours\n"})
	out := s.update()
	require.Contains(t, out, "stay deleted, though the template has changed them:\n  bench/bench.go\n  docs/why.md\n")
	require.Contains(t, out, "were left out:\n  bench/figures/fig.go\n  bench/more.go\n")
	require.NoDirExists(t, filepath.Join(s.fork, "bench"))
	require.NoFileExists(t, filepath.Join(s.fork, "docs/why.md"))
	require.FileExists(t, filepath.Join(s.fork, "docs/new.md"))
	s.commit(s.fork)

	s.change(s.template, map[string]string{"docs/why.md": "# Why\n\nAgain.\n", "bench/more.go": "package main\n\n// More.\n", "bench/new.go": "package main\n"})
	s.update()
	require.NoDirExists(t, filepath.Join(s.fork, "bench"))
	require.NoFileExists(t, filepath.Join(s.fork, "docs/why.md"))
}

// A service of the fork's own may look like one of the template's that the fork deleted, or lie in a folder that the template
// moves: git does not take it along.
func TestFilesThatOnlyTheForkHasAreNotTouched(t *testing.T) {
	s := newScene(t, true)
	s.git(s.fork, "mv", "services/worker", "services/billing")
	s.replace(s.fork, "services/billing/go.mod", "services/worker", "services/billing")
	s.replace(s.fork, "go.work", "services/worker", "services/billing")
	s.write(s.fork, map[string]string{"docs/ours.md": "# Ours\n", "ours.txt": "example.org/template\n"})
	s.commit(s.fork)
	own := []string{"services/billing/go.mod", "services/billing/handler.go", "services/billing/main.go", "docs/ours.md", "ours.txt"}
	before := make(map[string]string)
	for _, file := range own {
		before[file] = s.read(s.fork, file)
	}
	s.replace(s.template, "services/worker/handler.go", "Two", "One")
	s.replace(s.template, "services/worker/main.go", "works", "works well")
	s.git(s.template, "mv", "docs", "documents")
	s.commit(s.template)
	s.update()
	for file, text := range before {
		require.Equal(t, text, s.read(s.fork, file), file)
	}
	require.FileExists(t, filepath.Join(s.fork, "documents/why.md"))
	require.NoDirExists(t, filepath.Join(s.fork, "services/worker"))
	for line := range strings.Lines(s.git(s.fork, "status", "--porcelain")) {
		for _, file := range own {
			require.NotContains(t, line, file)
		}
	}
}

// A fork of a fork takes updates from the template of either.
func TestAForkOfAFork(t *testing.T) {
	for name, outer := range map[string]bool{"from the first template": true, "from the first fork": false} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, true)
			first := s.fork
			s.fork = s.copied(first, false)
			s.makeFork(s.fork, "example.net/shop", "shop")
			if !outer {
				s.template = first
			}
			s.replace(s.template, "pkg/count/count.go", "return 1", "return 11")
			s.commit(s.template)
			s.update()
			require.Contains(t, s.read(s.fork, "pkg/count/count.go"), "return 11")
			require.Equal(t, "M  .template.json\nM  pkg/count/count.go", s.git(s.fork, "status", "--porcelain"))
			s.requireRecord()
			s.commit(s.fork)
			s.change(s.template, map[string]string{"docs/new.md": "# New\n"})
			s.update()
			s.requireRecord()
		})
	}
}

// The template and the fork may each be a directory of a larger repository.
func TestDirectoriesOfRepositories(t *testing.T) {
	s := scene{T: t}
	for _, at := range []*string{&s.template, &s.fork} {
		repository := t.TempDir()
		*at = filepath.Join(repository, "a", "b")
		s.write(*at, small)
		s.write(repository, map[string]string{"go.work": "go 1.26.0\n", "other.txt": "other\n"})
		s.commit(repository)
	}
	s.makeFork(s.fork, "github.com/acme/orders", "orders")
	s.change(filepath.Join(s.fork, "../.."), map[string]string{"a/b/docs/why.md": ""})
	s.replace(s.template, "pkg/count/count.go", "return 1", "return 11")
	s.write(s.template, map[string]string{"pkg/new.md": "# New\n", "docs/why.md": "# Why?\n"})
	s.change(filepath.Join(s.template, "../.."), map[string]string{"other.txt": "changed\n"})
	s.update()
	require.Equal(t, "M  a/b/.template.json\nM  a/b/pkg/count/count.go\nA  a/b/pkg/new.md", s.git(s.fork, "status", "--porcelain"))
	require.Contains(t, s.read(s.fork, "pkg/count/count.go"), "return 11")
	s.requireRecord()
}
