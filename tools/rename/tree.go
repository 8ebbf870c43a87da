// Package rename gives a copy of this template names of its own: the prefix of its module paths, and the default app.
//
// It changes the places where a name is a name to the tools that read it, found in their syntax: module paths in go.mod and
// go.work, import paths, protoc's go_package and flags, the constants of pkg/appname, the title of the README, and import
// paths in the code of documents. Words that merely look like a name stay, so a template named `event` or `work` can be
// renamed as well. All else in a file stays as it is, byte for byte, but that gofmt and go mod tidy order imports and
// requirements by name: files that were in order are in order afterwards.
package rename

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// A renaming is of one tree.
type renaming struct {
	dir      string
	from, to Names
	title    string   // of the README, as it was
	modules  []string // the paths of the tree's modules, as they were
}

// Tree renames the tree in dir, and returns the files that it changed, sorted, with slashes, relative to dir. If dir is the
// root of a git work tree, files that git ignores are left alone. After an error some of the files may have changed.
func Tree(dir string, from, to Names) (changed []string, err error) {
	r := renaming{dir: dir, from: from, to: to}
	if r.title, err = constant(dir, "Title"); err != nil {
		return nil, err
	}
	files, err := Files(dir)
	if err != nil {
		return nil, err
	}
	if err := r.findModules(files); err != nil {
		return nil, err
	}
	for _, file := range files {
		ok, err := r.file(file)
		if err != nil {
			return changed, fmt.Errorf("rename in %s: %w", file, err)
		}
		if ok {
			changed = append(changed, file)
		}
	}
	return changed, nil
}

// Files returns the regular files of the tree in dir, sorted, with slashes, relative to dir: those that git does not
// ignore if dir is the root of a git work tree, and else all outside of directories whose names begin with a dot.
func Files(dir string) ([]string, error) {
	var files []string
	if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
		cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("list the files of %s: %w", dir, err)
		}
		for _, file := range strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }) {
			if info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(file))); err == nil && info.Mode().IsRegular() {
				files = append(files, file)
			}
		}
		slices.Sort(files)
		return slices.Compact(files), nil
	}
	err := fs.WalkDir(os.DirFS(dir), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && file != "." && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		if entry.Type().IsRegular() {
			files = append(files, file)
		}
		return nil
	})
	slices.Sort(files)
	return files, err
}

// findModules notes the modules of the tree whose paths begin with its name.
func (r *renaming) findModules(files []string) error {
	for _, file := range files {
		if path.Base(file) != "go.mod" {
			continue
		}
		b, err := os.ReadFile(r.path(file))
		if err != nil {
			return err
		}
		if p := modfile.ModulePath(b); r.begins(p) {
			r.modules = append(r.modules, p)
		}
	}
	if len(r.modules) == 0 {
		return fmt.Errorf("rename %s: no module's path begins with %s", r.dir, r.from.Module)
	}
	return nil
}

func (r *renaming) path(file string) string { return filepath.Join(r.dir, filepath.FromSlash(file)) }

// begins tells whether a path is the tree's name or below it.
func (r *renaming) begins(p string) bool {
	return p == r.from.Module || strings.HasPrefix(p, r.from.Module+"/")
}

// renamed returns what the path of a module, or of a package in one, becomes, and whether it belongs to the tree.
func (r *renaming) renamed(p string) (string, bool) {
	if !r.begins(p) {
		return p, false
	}
	for _, m := range r.modules {
		if p == m || strings.HasPrefix(p, m+"/") {
			return r.to.Module + strings.TrimPrefix(p, r.from.Module), true
		}
	}
	return p, false
}

// file renames in one file and tells whether that changed it.
func (r *renaming) file(file string) (bool, error) {
	change := r.changer(file)
	if change == nil {
		return false, nil
	}
	name := r.path(file)
	before, err := os.ReadFile(name)
	if err != nil {
		return false, err
	}
	after, err := change(before)
	if err != nil || string(after) == string(before) {
		return false, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return false, err
	}
	return true, os.WriteFile(name, after, info.Mode().Perm())
}

// changer returns the function for a file of that name, or nil if no such file bears a name.
func (r *renaming) changer(file string) func([]byte) ([]byte, error) {
	base := path.Base(file)
	switch {
	case base == "go.mod":
		return r.goMod
	case base == "go.work":
		return r.goWork
	case file == appnameFile:
		return r.constants
	case strings.HasSuffix(base, ".pb.go"):
		return r.generated
	case strings.HasSuffix(base, ".go"):
		return r.goFile
	case strings.HasSuffix(base, ".proto"):
		return r.proto
	case file == "README.md":
		return r.readme
	case strings.HasSuffix(base, ".md") && base != "CHANGELOG.md": // which tells of the past
		return r.document
	}
	return nil
}

// An edit replaces the bytes from start to end.
type edit struct {
	start, end int
	text       string
}

// apply makes edits, which are in order and do not overlap.
func apply(src []byte, edits []edit) []byte {
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(append(out, src[at:e.start]...), e.text...)
		at = e.end
	}
	return append(out, src[at:]...)
}
