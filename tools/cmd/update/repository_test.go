package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// copyRepository copies the files of this repository, as they are now, into a new repository.
func (s scene) copyRepository() string {
	s.Helper()
	to := s.TempDir()
	for _, file := range repositoryFiles(s.T) {
		name := filepath.Join("../../..", filepath.FromSlash(file))
		info, err := os.Stat(name)
		require.NoError(s, err)
		s.write(to, map[string]string{file: s.read("../../..", file)})
		require.NoError(s, os.Chmod(filepath.Join(to, filepath.FromSlash(file)), info.Mode().Perm()))
	}
	s.commit(to)
	return to
}

// TestUpdateOfThisRepository makes a newer template of this repository, by commits on a copy of it, and a fork of the older one that
// has changes and a service of its own. The fork takes the update by its task, and builds.
func TestUpdateOfThisRepository(t *testing.T) {
	s := scene{T: t}
	s.template = s.copyRepository()
	s.fork = s.copied(s.template, false)
	s.makeFork(s.fork, "github.com/acme/orders", "orders")
	module := strings.TrimPrefix(strings.SplitN(s.read(s.template, "pkg/go.mod"), "\n", 2)[0], "module ")

	// The template: files at the root and in packages; a package with a dependency of its own; a file less.
	s.append(s.template, "Taskfile.yml", "# A newer template.\n")
	s.append(s.template, ".gitignore", "# A newer template.\n")
	s.append(s.template, "pkg/store/store.go", "\n// Newer is of the newer template.\nconst Newer = 1\n")
	s.write(s.template, map[string]string{
		"pkg/newer/newer.go": "// Package newer is new.\npackage newer\n\n" +
			"import (\n\t\"" + module + "/store\"\n\t\"golang.org/x/mod/semver\"\n)\n\n" +
			"// Valid tells something.\nfunc Valid() bool { return semver.IsValid(\"v1\") && store.Newer == 1 }\n",
	})
	s.need(s.template, "golang.org/x/mod")
	s.git(s.template, "rm", "--quiet", "tools/cmd/update/sums_test.go")
	s.commit(s.template)

	// The fork: a dependency in the same module, its own lines in the same files, its own service, and some folders less.
	s.replace(s.fork, "Taskfile.yml", "version: '3'\n", "version: '3' # ours\n")
	s.write(s.fork, map[string]string{
		"pkg/ours/ours.go": "// Package ours is the fork's.\npackage ours\n\nimport \"github.com/dustin/go-humanize\"\n\n" +
			"// Bytes writes a size.\nfunc Bytes(n uint64) string { return humanize.Bytes(n) }\n",
		"services/ours/go.mod": "module github.com/acme/orders/services/ours\n\ngo 1.26.0\n\n" +
			"require github.com/acme/orders/pkg v0.0.0\n\nreplace github.com/acme/orders/pkg => ../../pkg\n",
		"services/ours/main.go": "// Command ours is the fork's.\npackage main\n\nimport \"github.com/acme/orders/pkg/ours\"\n\n" +
			"func main() { println(ours.Bytes(1)) }\n",
		"bench": "", "verify": "",
	})
	s.need(s.fork, "github.com/dustin/go-humanize")
	s.command(filepath.Join(s.fork, "services/ours"), "go", "mod", "tidy")
	s.command(s.fork, "go", "work", "use", "./services/ours")
	s.commit(s.fork)
	require.NotEmpty(t, s.read(s.fork, "services/ours/go.sum"))
	main := s.read(s.fork, "services/ours/main.go")

	out := s.task("update-template", "FROM="+s.template)
	require.Contains(t, out, "Files: 1 new, 2 replaced, 2 merged with your changes, 1 deleted or moved\n")
	s.requireRecord()
	s.commit(s.fork)
	require.Contains(t, s.read(s.fork, "Taskfile.yml"), "version: '3' # ours\n")
	require.Contains(t, s.read(s.fork, "Taskfile.yml"), "# A newer template.\n")
	require.Equal(t, s.read(s.template, ".gitignore"), s.read(s.fork, ".gitignore"))
	require.Contains(t, s.read(s.fork, "pkg/newer/newer.go"), `"github.com/acme/orders/pkg/store"`)
	require.NoFileExists(t, filepath.Join(s.fork, "tools/cmd/update/sums_test.go"))
	require.NoDirExists(t, filepath.Join(s.fork, "bench"))
	require.NoDirExists(t, filepath.Join(s.fork, "verify"))
	require.Equal(t, main, s.read(s.fork, "services/ours/main.go"))
	sums := s.read(s.fork, "pkg/go.sum")
	require.Regexp(t, `(?m)^github.com/dustin/go-humanize v\S+ h1:`, sums)
	require.Regexp(t, `(?m)^golang.org/x/mod v\S+ h1:`, sums)
	for _, dir := range []string{"pkg", "services/ours", "tools"} {
		require.Empty(t, s.command(filepath.Join(s.fork, dir), "go", "mod", "tidy", "-diff"), dir)
	}
	s.command(s.fork, "go", "work", "sync")
	require.Empty(t, s.git(s.fork, "status", "--porcelain"))
	s.command(filepath.Join(s.fork, "pkg"), "go", "build", "./newer", "./ours")
	s.command(filepath.Join(s.fork, "services/ours"), "go", "build", "-o", os.DevNull, ".")

	s.append(s.template, "pkg/store/store.go", "\n// Newest is of the newest template.\nconst Newest = 2\n")
	s.commit(s.template)
	s.update()
	s.requireRecord()
	require.Equal(t, "M  .template.json\nM  pkg/store/store.go", s.git(s.fork, "status", "--porcelain"))
}

// need makes pkg require a module, in the version that the tools have.
func (s scene) need(dir, path string) {
	s.Helper()
	version := regexp.MustCompile(regexp.QuoteMeta(path) + ` (v\S+)`).FindStringSubmatch(s.read("../../..", "tools/go.mod"))
	require.NotEmpty(s, version)
	s.command(filepath.Join(dir, "pkg"), "go", "mod", "edit", "-require="+path+"@"+version[1])
	s.command(filepath.Join(dir, "pkg"), "go", "mod", "tidy")
}

func (s scene) append(dir, file, text string) {
	s.Helper()
	s.write(dir, map[string]string{file: s.read(dir, file) + text})
}

// task runs Task in the fork, with the workspace, and returns what it prints.
func (s scene) task(args ...string) string {
	s.Helper()
	cmd := exec.Command("go", append([]string{"tool", "task", "--color=false"}, args...)...)
	cmd.Dir = s.fork
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
	out, err := cmd.CombinedOutput()
	require.NoError(s, err, "%s", out)
	return string(out)
}
