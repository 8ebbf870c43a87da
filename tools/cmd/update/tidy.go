package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"example.com/lockstep/tools/git"
)

// tidy has go mod tidy write the go.mod and go.sum of every module of the fork in root, also of those that only the fork has: what
// they require follows from what the modules of the template require. Then it gives the modules of the workspace the same versions.
// It returns what cannot be done.
func tidy(root string) []error {
	dirs, err := moduleDirs(root)
	if err != nil {
		return []error{err}
	}
	if untidy := tidyModules(root, dirs); len(untidy) > 0 {
		return untidy
	}
	if _, err := os.Stat(filepath.Join(root, "go.work")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	before, err := goMods(root, dirs)
	if err != nil {
		return []error{err}
	}
	if err := goCommand(root, ".", filepath.Join(root, "go.work"), "work", "sync"); err != nil {
		return []error{err}
	}
	after, err := goMods(root, dirs)
	if err != nil {
		return []error{err}
	}
	if maps.Equal(before, after) {
		return nil
	}
	return tidyModules(root, dirs)
}

// moduleDirs returns the directories of the modules in root, with slashes, each after those that it requires. It removes a go.sum that
// is left where no module is any more.
func moduleDirs(root string) ([]string, error) {
	files, err := git.Lines(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "go.mod", "go.sum", "*/go.mod", "*/go.sum")
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, file := range files {
		dir := path.Dir(file)
		if strings.Contains("/"+file, "/testdata/") || slices.Contains(dirs, dir) {
			continue
		}
		_, err := os.Stat(filepath.Join(root, filepath.FromSlash(dir), "go.mod"))
		switch {
		case err == nil:
			dirs = append(dirs, dir)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		case path.Base(file) == "go.sum":
			if err := os.Remove(filepath.Join(root, filepath.FromSlash(file))); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	return inOrder(root, dirs), nil
}

// goMods returns the text of each module's go.mod by directory.
func goMods(root string, dirs []string) (map[string]string, error) {
	texts := make(map[string]string)
	for _, dir := range dirs {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(dir), "go.mod"))
		if err != nil {
			return nil, err
		}
		texts[dir] = string(b)
	}
	return texts, nil
}

func tidyModules(root string, dirs []string) (untidy []error) {
	for _, dir := range dirs {
		if err := goCommand(root, dir, "off", "mod", "tidy"); err != nil {
			untidy = append(untidy, err)
		}
	}
	return untidy
}

func goCommand(root, dir, workspace string, args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join(root, filepath.FromSlash(dir))
	cmd.Env = append(os.Environ(), "GOWORK="+workspace)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s in %s: %w\n%s", strings.Join(args, " "), dir, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// inOrder returns the directories of modules, each after those that it requires: what it requires depends on what those do.
func inOrder(root string, dirs []string) []string {
	modules := make(map[string]*modfile.File)
	for _, dir := range dirs {
		name := filepath.Join(root, filepath.FromSlash(dir), "go.mod")
		if text, err := os.ReadFile(name); err == nil {
			if parsed, err := modfile.ParseLax(name, text, nil); err == nil && parsed.Module != nil {
				modules[dir] = parsed // go mod tidy tells of one that cannot be read
			}
		}
	}
	var sorted []string
	done := make(map[string]bool)
	var visit func(dir string)
	visit = func(dir string) {
		if done[dir] {
			return
		}
		done[dir] = true
		for _, other := range dirs {
			if modules[dir] != nil && modules[other] != nil && requires(modules[dir], modules[other].Module.Mod.Path) {
				visit(other)
			}
		}
		sorted = append(sorted, dir)
	}
	for _, dir := range dirs {
		visit(dir)
	}
	return sorted
}

func requires(module *modfile.File, path string) bool {
	return slices.ContainsFunc(module.Require, func(r *modfile.Require) bool { return r.Mod.Path == path })
}

// failure returns an error if the fork is not yet as it shall be.
func (u *update) failure() error {
	switch {
	case len(u.conflicts) > 0:
		return errConflicts
	case len(u.untidy) > 0:
		return fmt.Errorf("%w\nthe changes are staged: mend this, and go on with go tool task tidy, or undo them with git reset --hard",
			errors.Join(u.untidy...))
	}
	return nil
}
