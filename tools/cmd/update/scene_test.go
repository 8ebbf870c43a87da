package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/tools/rename"
)

// A scene has a template and a fork of it, each a repository of its own.
type scene struct {
	*testing.T
	template, fork string
}

// small is a template with what an update has to tell apart.
var small = map[string]string{
	".ci/run":        "#!/bin/sh\nexec go tool task test\n",
	".gitignore":     "/bin/\n",
	"README.md":      "# Template\n\nThe template.\n\nIts end.\n",
	"Taskfile.yml":   "version: '3'\n",
	"bench/bench.go": "// Command bench measures.\npackage main\n\nfunc main() {}\n",
	"bench/go.mod":   "module example.org/template/bench\n\ngo 1.26.0\n",
	"docs/why.md":    "# Why\n\nBecause.\n",
	"go.work":        "go 1.26.0\n\nuse (\n\t./pkg\n\t./services/worker\n)\n",
	"pkg/appname/appname.go": "package appname\n\nconst (\n" +
		"\tDefault   = \"template\"\n\tEnvPrefix = \"TEMPLATE\"\n\tTitle     = \"Template\"\n)\n",
	"pkg/count/count.go": "// Package count counts.\npackage count\n\nimport _ \"example.org/template/pkg/appname\"\n\n" +
		"func One() int { return 1 }\n\nfunc Two() int { return 2 }\n\nfunc Three() int { return 3 }\n",
	"pkg/go.mod": "module example.org/template/pkg\n\ngo 1.26.0\n",
	"services/worker/go.mod": "module example.org/template/services/worker\n\ngo 1.26.0\n\nrequire example.org/template/pkg v0.0.0\n\n" +
		"replace example.org/template/pkg => ../../pkg\n",
	"services/worker/handler.go": "package main\n\nimport \"example.org/template/pkg/count\"\n\nfunc handle() int { return count.Two() }\n\n" +
		"// The rest of the handler.\nvar a, b, c, d, e, f, g int\n",
	"services/worker/main.go": "// Command worker works.\npackage main\n\nfunc main() { handle() }\n",
}

// newScene forks the small template. With history the fork is a clone; else its history begins with it.
func newScene(t *testing.T, history bool) scene {
	t.Helper()
	s := scene{T: t, template: t.TempDir()}
	s.write(s.template, small)
	s.commit(s.template)
	s.fork = s.copied(s.template, history)
	s.makeFork(s.fork, "github.com/acme/orders", "orders")
	return s
}

// copied returns a copy of a repository, with its history or without.
func (s scene) copied(from string, history bool) string {
	s.Helper()
	to := s.TempDir()
	s.git(filepath.Dir(to), "clone", "--quiet", "--no-hardlinks", from, to)
	if !history {
		require.NoError(s, os.RemoveAll(filepath.Join(to, ".git")))
		s.commit(to)
	}
	return to
}

var buildFork = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "fork-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "fork")
	if out, err := exec.Command("go", "build", "-o", bin, "../fork").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if bin, err := buildFork(); err == nil {
		os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

// makeFork runs the program that task fork runs, and commits.
func (s scene) makeFork(dir, module, app string) {
	s.Helper()
	bin, err := buildFork()
	require.NoError(s, err)
	s.command(dir, bin, module, app)
	s.commit(dir)
}

// write writes files, and removes those that shall be empty.
func (s scene) write(dir string, content map[string]string) {
	s.Helper()
	for file, text := range content {
		name := filepath.Join(dir, filepath.FromSlash(file))
		if text == "" {
			require.NoError(s, os.RemoveAll(name))
			continue
		}
		require.NoError(s, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(s, os.WriteFile(name, []byte(text), 0o644))
	}
}

func (s scene) read(dir, file string) string {
	s.Helper()
	b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
	require.NoError(s, err)
	return string(b)
}

// replace replaces text that must be in a file.
func (s scene) replace(dir, file, before, after string) {
	s.Helper()
	text := s.read(dir, file)
	require.Contains(s, text, before)
	s.write(dir, map[string]string{file: strings.Replace(text, before, after, 1)})
}

// command runs a command and returns what it prints.
func (s scene) command(dir string, args ...string) string {
	s.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	workspace := "off"
	if len(args) > 1 && args[1] == "work" {
		workspace = filepath.Join(dir, "go.work")
	}
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
		"GIT_EDITOR=true", "GOWORK="+workspace, "GOFLAGS=-buildvcs=false")
	out, err := cmd.CombinedOutput()
	require.NoError(s, err, "%v: %s", args, out)
	return strings.TrimSpace(string(out))
}

func (s scene) git(dir string, args ...string) string {
	s.Helper()
	return s.command(dir, append([]string{"git"}, args...)...)
}

// commit commits all that is in a directory, and makes a repository of it if it is in none.
func (s scene) commit(dir string) {
	s.Helper()
	inside := exec.Command("git", "rev-parse", "--git-dir")
	inside.Dir = dir
	if inside.Run() != nil {
		s.git(dir, "init", "--quiet")
	}
	s.git(dir, "add", "--all")
	s.git(dir, "commit", "--quiet", "--message=A change")
}

// change writes files in a repository and commits them.
func (s scene) change(dir string, content map[string]string) {
	s.Helper()
	s.write(dir, content)
	s.commit(dir)
}

// update updates the fork, which must succeed, and returns the report.
func (s scene) update() string {
	s.Helper()
	var out strings.Builder
	require.NoError(s, run(s.fork, []string{s.template}, &out), "%s", &out)
	return out.String()
}

// conflicting updates the fork, which must end in so many conflicts, and returns the report.
func (s scene) conflicting(count int) string {
	s.Helper()
	var out strings.Builder
	require.ErrorIs(s, run(s.fork, []string{s.template}, &out), errConflicts, "%s", &out)
	require.Contains(s, out.String(), fmt.Sprintf("Conflicts in %d files, marked as git marks them:\n", count))
	return out.String()
}

// requireRecord requires that the fork's record names the template's HEAD.
func (s scene) requireRecord() {
	s.Helper()
	record, err := rename.ReadRecord(s.fork)
	require.NoError(s, err)
	from, err := rename.Of(s.template)
	require.NoError(s, err)
	to, err := rename.Of(s.fork)
	require.NoError(s, err)
	head, tree := s.git(s.template, "rev-parse", "HEAD"), s.git(s.template, "rev-parse", "HEAD:./")
	require.Equal(s, rename.Record{Schema: 1, Base: head, Tree: tree, From: from, To: to}, record)
}

// repositoryFiles returns the files of this repository, from its root.
func repositoryFiles(t *testing.T) []string {
	t.Helper()
	files, err := rename.Files("../../..")
	require.NoError(t, err)
	return files
}
