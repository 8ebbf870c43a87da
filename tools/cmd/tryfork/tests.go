package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// tests are what one go test runs: those of the workspace, or of a module outside it.
type tests struct {
	dir      string   // of the workspace or the module
	packages []string // as go test's arguments in dir
	names    []string
}

// A file of tests that uses one of these depends on what the fork is called.
var mentions = regexp.MustCompile(`\bappname\.|\btestkit\.ModulePath\b|^package rename\b`)

// slow are tests that build or load for a minute. Only .ci/run runs them, in the fork as well.
var slow = []string{"TestTutorial", "TestLoadGuide", "TestGeneratedCodeOfARenamedTreeRuns", "TestUpdateOfThisRepository", "TestNewServicesBuildAndPass"}

// testsWithNames returns the tests in files that mention a name, but slow ones and those that take minutes.
func (f *fork) testsWithNames() ([]tests, error) {
	var all []tests
	for _, file := range f.files {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		src, err := os.ReadFile(filepath.Join(f.dir, filepath.FromSlash(file)))
		if err != nil {
			return nil, err
		}
		if !mentions.Match(src) {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, src, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		all = f.add(all, path.Dir(file), testsIn(parsed))
	}
	return all, nil
}

// add adds the tests of a package.
func (f *fork) add(all []tests, dir string, names []string) []tests {
	root := "."
	if m := f.moduleOf(dir); m.alone {
		root = m.dir
	}
	i := slices.IndexFunc(all, func(t tests) bool { return t.dir == root })
	if i < 0 {
		i, all = len(all), append(all, tests{dir: root})
	}
	if root != "." {
		dir = strings.TrimPrefix(strings.TrimPrefix(dir, root), "/")
	}
	if arg := "./" + dir; !slices.Contains(all[i].packages, arg) {
		all[i].packages = append(all[i].packages, arg)
	}
	all[i].names = append(all[i].names, names...)
	return all
}

func testsIn(file *ast.File) []string {
	var names []string
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Test") {
			continue
		}
		name := fn.Name.Name
		if name != "TestMain" && !strings.HasPrefix(name, "TestLong") && !slices.Contains(slow, name) {
			names = append(names, name)
		}
	}
	return names
}

// moduleOf returns the innermost module that a directory, with slashes, is in.
func (f *fork) moduleOf(dir string) module {
	var in module
	for _, m := range f.modules {
		if (dir == m.dir || strings.HasPrefix(dir, m.dir+"/")) && len(m.dir) > len(in.dir) {
			in = m
		}
	}
	return in
}
