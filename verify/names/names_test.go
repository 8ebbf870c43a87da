// Package names holds the names in the template's code against a list of words that a newcomer cannot guess, or that would
// mean two things.
package names

import (
	"errors"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// unwanted are words that no name has. Prose may use them in their ordinary sense.
var unwanted = []string{
	"elsewhere", "roam", "together", "behind", "intake", "stands", "whole", "since", "unlawful", "misfit", "real",
}

// noLeases is where nothing is a lease, which is a redsync lock: a router's right is a permit, and a pause is a pause.
var noLeases = []string{"pkg/topology/", "pkg/route/", "pkg/query/", "pkg/publish/", "services/router/"}

// held are the directories whose code is the template's. Of services, which a fork edits, only these files are.
var (
	held    = []string{"bench", "deployments/local", "pkg", "tools", "verify"}
	ofForks = []string{
		"router/main.go", "router/run.go", "router/restore.go", "router/restore_test.go", "router/cli_test.go", "router/deps_test.go",
		"producer/main.go",
		"worker/main.go", "worker/cli_test.go", "worker/redis_user_test.go",
	}
)

func TestNames(t *testing.T) {
	files, err := sources()
	require.NoError(t, err)
	require.Greater(t, len(files), 300, "the tree is not where this test looks")
	for _, path := range files {
		for _, found := range offenders(t, path, nil) {
			t.Error(found)
		}
	}
}

// An unwanted word is found wherever a name can have it.
func TestOffendersAreFound(t *testing.T) {
	for source, want := range map[string]int{
		"package elsewhere":                                                                            1,
		"package p\nfunc isWhole() {}":                                                                 1,
		"package p\ntype RealLocker struct{ since int }":                                               2,
		"package p\nvar _ = func(together int) (behindMS int) { return }":                              2,
		"package p\nfunc f() { for i, real := range x { whole := i; roam: goto roam } }":               3,
		"package p\ntype t struct { A int `json:\"behind\" name:\"intake\"` }":                         1,
		"package p\nimport \"a/prometheus\"\nvar c = prometheus.CounterOpts{Name: \"unlawful_total\"}": 1,
		"package p\nfunc f() { log.With(\"misfit\", 1).Warn(\"real\", \"since\", 2) }":                 2,
		"package p\nimport \"a/prometheus\"\nvar c = counter(\"lost_since_start\")":                    1,
		"package p\nvar c = text(\"lost_since_start\")":                                                0,
		"package p\nvar e = CollectLess":                                                               0,
		"package p\nfunc CollectLess() {}":                                                             1,
		"package p\nvar then = time.Since(at) // since then":                                           0,
		"package p\nvar HTTPReal, realHTTP, xRealY int":                                                3,
		"package p\nvar reality, unreal, wholesome int":                                                0,
		"package p\ntype leaseTTL int":                                                                 1,
	} {
		require.Len(t, offenders(t, "pkg/route/elsewhereAsWell.go", source), want+1, "%s", source)
	}
}

// sources are the template's files, as paths from root. A fork may have deleted some.
func sources() (files []string, err error) {
	paths := make([]string, 0, len(held)+len(ofForks))
	for _, dir := range held {
		paths = append(paths, filepath.Join(root, dir))
	}
	for _, name := range ofForks {
		paths = append(paths, filepath.Join(root, "services", name))
	}
	for _, path := range paths {
		err = errors.Join(err, filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "testdata" || d.Name() == "bin"):
				return filepath.SkipDir
			case d.IsDir():
				return nil
			}
			path, err = filepath.Rel(root, path)
			files = append(files, path)
			return err
		}))
	}
	return files, err
}

// offenders returns the names of a file that have an unwanted word: its own, and those that it declares. source is nil, or
// what stands for its text.
func offenders(t *testing.T, path string, source any) (found []string) {
	t.Helper()
	for _, part := range strings.Split(strings.TrimSuffix(path, ".go"), "/") {
		if bad := unwantedWord(path, part); bad != "" {
			found = append(found, path+": the path has the word "+bad)
		}
	}
	if !strings.HasSuffix(path, ".go") {
		return found
	}
	if source == nil {
		text, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		source = text
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, source, parser.SkipObjectResolution)
	require.NoError(t, err)
	names := declared(file)
	for _, pos := range slices.Sorted(maps.Keys(names)) {
		if bad := unwantedWord(path, names[pos]); bad != "" {
			found = append(found, set.Position(pos).String()+": "+names[pos]+" has the word "+bad)
		}
	}
	return found
}

// words splits a name, in camelCase, snake_case or kebab-case, into its words.
func words(name string) []string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		begins := unicode.IsUpper(r) && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if begins || !unicode.IsLetter(r) {
			b.WriteByte(' ')
		}
		if unicode.IsLetter(r) {
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return strings.Fields(b.String())
}

// unwantedWord returns the word that a name must not have where it is, or "".
func unwantedWord(path, name string) string {
	if strings.Contains(strings.ToLower(name), "collectless") { // two words, of which either is welcome
		return "collectless"
	}
	noLease := slices.ContainsFunc(noLeases, func(dir string) bool { return strings.HasPrefix(path, dir) })
	for _, w := range words(name) {
		if noLease && strings.HasPrefix(w, "lease") || slices.Contains(unwanted, w) || slices.Contains(unwanted, strings.TrimSuffix(w, "s")) {
			return w
		}
	}
	return ""
}
