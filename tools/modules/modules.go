// Package modules lists the Go modules of a repository: those that go.work binds, and those that lie outside it.
package modules

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// Module is one of them.
type Module struct {
	Dir         string // from the repository's root, with slashes
	Path        string // as go.mod names it
	InWorkspace bool   // go.work binds it; commands in any other need GOWORK=off
	Packages    bool   // it has Go files; one that has none only pins tools
}

// List returns the modules of the repository whose root is given, sorted by folder. It passes over folders that the go command
// ignores: testdata, and names that begin with a dot or an underscore.
func List(root string) ([]Module, error) {
	bound, err := workspace(root)
	if err != nil {
		return nil, err
	}
	found := make(map[string]*Module)
	err = fs.WalkDir(os.DirFS(root), ".", func(file string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")):
			return fs.SkipDir
		case entry.IsDir():
			module, err := read(root, file)
			if module != nil {
				module.InWorkspace = slices.Contains(bound, module.Dir)
				found[file] = module
			}
			return err
		case strings.HasSuffix(name, ".go"):
			if module := innermost(found, path.Dir(file)); module != nil {
				module.Packages = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the modules of %s: %w", root, err)
	}
	var all []Module
	for _, module := range found {
		all = append(all, *module)
	}
	slices.SortFunc(all, func(a, b Module) int { return strings.Compare(a.Dir, b.Dir) })
	for _, dir := range bound {
		if found[dir] == nil {
			return nil, fmt.Errorf("go.work binds %s, which has no go.mod", dir)
		}
	}
	return all, nil
}

// Root returns the nearest folder, from dir upwards, that has a go.work.
func Root(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := start; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.work")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("find go.work: neither %s nor a folder above it has one", start)
		}
	}
}

// workspace returns the folders that go.work binds, from the root, with slashes.
func workspace(root string) (dirs []string, err error) {
	file := filepath.Join(root, "go.work")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the workspace: %w", err)
	}
	work, err := modfile.ParseWork(file, text, nil)
	if err != nil {
		return nil, fmt.Errorf("read the workspace: %w", err)
	}
	for _, use := range work.Use {
		dirs = append(dirs, path.Clean(filepath.ToSlash(use.Path)))
	}
	return dirs, nil
}

// read returns the module whose go.mod lies in a folder; nil if the folder has none.
func read(root, dir string) (*Module, error) {
	file := filepath.Join(root, filepath.FromSlash(dir), "go.mod")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	name := modfile.ModulePath(text)
	if name == "" {
		return nil, fmt.Errorf("%s names no module", file)
	}
	return &Module{Dir: dir, Path: name}, nil
}

// innermost returns the module that a folder belongs to; nil if there is none.
func innermost(found map[string]*Module, dir string) *Module {
	for ; ; dir = path.Dir(dir) {
		if module := found[dir]; module != nil || dir == "." {
			return module
		}
	}
}
