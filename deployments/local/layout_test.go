package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/lockstep/pkg/servicefile"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/testkit"
)

var ours = testkit.ModulePath() + "/"

// layoutRow is a row of the table of imports in docs/design.md.
type layoutRow struct{ folder, imports string }

// TestLayout compares the table of imports in docs/design.md with the sources, and requires that each package imports only
// those above it. Nothing outside verify and bench may import these; their rows are not checked once they are deleted. A service that
// a fork has added needs no row: it imports pkg alone.
func TestLayout(t *testing.T) {
	rows := layoutRows(t)
	place := make(map[string]int)
	for i, row := range rows {
		place[row.folder] = i
	}
	imports := make(map[string][]string) // by row, the first of which is itself
	for _, dir := range moduleDirs(t) {
		for path, imported := range packagesOf(t, dir) {
			row := rowOf(place, path)
			if service := addedService(t, path); row == "" && service != "" {
				for _, p := range imported {
					require.True(t, strings.HasPrefix(p, "pkg/") || strings.HasPrefix(p+"/", service+"/"), "%s imports %s", path, p)
				}
				continue
			}
			require.NotEmpty(t, row, "docs/design.md has no row for %s", path)
			if imports[row] == nil {
				imports[row] = []string{row}
			}
			for _, p := range imported {
				of := rowOf(place, p)
				require.NotEmpty(t, of, "docs/design.md has no row for %s", p)
				if slices.Contains(imports[row], of) {
					continue
				}
				imports[row] = append(imports[row], of)
				require.Less(t, place[of], place[row], "%s imports %s, which is not above it in the table", path, p)
				require.True(t, !removable(of) || removable(row), "%s imports %s", path, p)
			}
		}
	}
	var is, says []string
	for _, row := range rows {
		if deleted(t, row.folder) {
			continue
		}
		require.NotEmpty(t, imports[row.folder], "there are no packages in %s", row.folder)
		is = append(is, row.folder+": "+list(imports[row.folder][1:], place))
		says = append(says, row.folder+": "+row.imports)
	}
	require.Equal(t, is, says, "docs/design.md: the imports of some packages are others")
}

// TestPathsOfTheDesign requires that every path in docs/design.md exists.
func TestPathsOfTheDesign(t *testing.T) {
	text, err := os.ReadFile("../../docs/design.md")
	require.NoError(t, err)
	paths := regexp.MustCompile("`((?:pkg|services|deployments|verify|bench|tools)(?:/[\\w./*]*)?)`").FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(paths), 50)
	for _, p := range paths {
		if top, _, _ := strings.Cut(p[1], "/"); deleted(t, top) {
			continue
		}
		found, err := filepath.Glob(filepath.Join("../..", p[1]))
		require.NoError(t, err)
		require.NotEmpty(t, found, "docs/design.md names %s", p[1])
	}
}

// list is how the table lists folders: in its own order, without pkg/.
func list(folders []string, place map[string]int) string {
	slices.SortFunc(folders, func(a, b string) int { return place[a] - place[b] })
	var names []string
	for _, f := range folders {
		names = append(names, strings.TrimPrefix(f, "pkg/"))
	}
	return strings.Join(names, ", ")
}

func layoutRows(t *testing.T) (rows []layoutRow) {
	t.Helper()
	text, err := os.ReadFile("../../docs/design.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "| package | what it is | imports, of ours (`pkg/` left out) |\n|---|---|---|\n")
	require.True(t, found, "docs/design.md has no table of imports")
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z/]+)` \\| [^|]+ \\|(?: ([a-z/, ]+))? \\|$").FindAllStringSubmatch(table, -1) {
		rows = append(rows, layoutRow{folder: m[1], imports: m[2]})
	}
	require.Len(t, rows, strings.Count(table, "\n|")+1, "a row reads | `folder` | what it is | imports |")
	return rows
}

// rowOf returns the folder of the row that stands for a package.
func rowOf(place map[string]int, path string) (folder string) {
	for f := range place {
		if (path == f || strings.HasPrefix(path, f+"/")) && len(f) > len(folder) {
			folder = f
		}
	}
	return folder
}

// addedService returns the folder of the service that a package is of, "" if it is of none that is listed.
func addedService(t *testing.T, path string) string {
	t.Helper()
	services, err := servicefile.Read("../../" + servicefile.Path)
	require.NoError(t, err)
	for _, s := range services {
		if strings.HasPrefix(path+"/", s.Dir()+"/") {
			return s.Dir()
		}
	}
	return ""
}

func removable(folder string) bool {
	top, _, _ := strings.Cut(folder, "/")
	return top == "verify" || top == "bench"
}

// deleted tells whether a folder is gone that may be.
func deleted(t *testing.T, folder string) bool {
	t.Helper()
	if !removable(folder) {
		return false
	}
	_, err := os.Stat(filepath.Join("../..", folder))
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
		return false
	}
	return true
}

// moduleDirs returns the directories of all modules of the repository.
func moduleDirs(t *testing.T) (dirs []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." {
			return filepath.SkipDir
		}
		if err == nil && entry.Name() == "go.mod" {
			dirs = append(dirs, filepath.Dir(path))
		}
		return err
	}))
	return dirs
}

// packagesOf returns what each package of a module imports of ours, all as folders of the repository. A package that has only
// tests imports what these do.
func packagesOf(t *testing.T, dir string) map[string][]string {
	t.Helper()
	const format = `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}{{if not .GoFiles}}{{range .TestImports}} {{.}}{{end}}{{end}}`
	cmd := exec.Command("go", "list", "-f", format, "./...")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off")
	var stderr strings.Builder // go warns of a module without packages, which only pins tools
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go list in %s: %s", dir, &stderr)
	packages := make(map[string][]string)
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		path, of := strings.CutPrefix(fields[0], ours)
		require.True(t, of, line)
		packages[path] = []string{}
		for _, p := range fields[1:] {
			if p, of := strings.CutPrefix(p, ours); of {
				packages[path] = append(packages[path], p)
			}
		}
	}
	return packages
}
