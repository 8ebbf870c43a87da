package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnionOfChecksums(t *testing.T) {
	require.Equal(t, "a\nb\nc\n", union("b\nc\n", "a\nb\n"))
	require.Equal(t, "a\n", union("", "a\n"))
}

// Checksums go the way of their module, and never make a conflict.
func TestChecksumsFollowTheirModules(t *testing.T) {
	const a, b, c = "example.org/a v1.0.0 h1:a=\n", "example.org/b v1.0.0 h1:b=\n", "example.org/c v1.0.0 h1:c=\n"
	sums := []string{"pkg/go.sum", "bench/go.sum", "services/worker/go.sum", "go.work.sum"}
	all := func(text string) map[string]string {
		content := make(map[string]string)
		for _, file := range sums {
			content[file] = text
		}
		return content
	}
	s := scene{T: t, template: t.TempDir()}
	s.write(s.template, small)
	s.change(s.template, all(a))
	s.fork = s.copied(s.template, false)
	s.makeFork(s.fork, "github.com/acme/orders", "orders")
	s.write(s.template, map[string]string{"bench": "", "docs/why.md": "# Why?\n"})
	s.write(s.template, map[string]string{"services/extra/go.mod": "module example.org/template/services/extra\n\ngo 1.26.0\n", "services/extra/go.sum": b})
	s.change(s.template, map[string]string{"pkg/go.sum": b, "services/worker/go.sum": b, "go.work.sum": b})
	s.write(s.fork, all(c))
	s.change(s.fork, map[string]string{"services/worker/go.sum": a, "docs/why.md": "# Ours\n"})
	s.conflicting(1) // in docs/why.md, so nothing is tidied yet
	require.Equal(t, b+c, s.read(s.fork, "pkg/go.sum"), "both changed it")
	require.Equal(t, b, s.read(s.fork, "services/worker/go.sum"), "the fork did not change it")
	require.Equal(t, b+c, s.read(s.fork, "go.work.sum"))
	require.Equal(t, b, s.read(s.fork, "services/extra/go.sum"), "a new module")
	require.NoDirExists(t, filepath.Join(s.fork, "bench"), "the module is gone")
	require.Equal(t, "UU docs/why.md", unstaged(s.git(s.fork, "status", "--porcelain")))

	s.git(s.fork, "reset", "--quiet", "--hard")
	s.change(s.fork, map[string]string{"docs/why.md": small["docs/why.md"]})
	s.update()
	require.Empty(t, s.read(s.fork, "pkg/go.sum"), "tidied: nothing needs a checksum")
	require.Empty(t, unstaged(s.git(s.fork, "status", "--porcelain")))
}

// unstaged returns the lines of git status that tell of more than what is staged.
func unstaged(status string) string {
	var lines []string
	for line := range strings.SplitSeq(status, "\n") {
		if len(line) > 1 && line[1] != ' ' {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// A service of the fork's own may need what the template no longer has. The update is there nevertheless.
func TestAModuleThatCannotBeTidied(t *testing.T) {
	s := newScene(t, false)
	s.change(s.fork, map[string]string{
		"services/billing/go.mod":  strings.ReplaceAll(s.read(s.fork, "services/worker/go.mod"), "worker", "billing"),
		"services/billing/main.go": "package main\n\nimport _ \"github.com/acme/orders/pkg/count\"\n\nfunc main() {}\n",
	})
	s.write(s.template, map[string]string{"pkg/count": "", "docs/why.md": "# Why?\n"})
	s.change(s.template, map[string]string{"services/worker/handler.go": "package main\n\nfunc handle() {}\n"})
	var out strings.Builder
	err := run(s.fork, []string{s.template}, &out)
	require.ErrorContains(t, err, "the changes are staged: mend this, and go on with go tool task tidy, or undo them with git reset --hard")
	require.ErrorContains(t, err, "go mod tidy in services/billing: ")
	require.Equal(t, "# Why?\n", s.read(s.fork, "docs/why.md"))
	s.requireRecord()
}
