package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"example.com/lockstep/pkg/servicefile"
)

// originals are the services that the local stack cannot do without.
var originals = []string{"router", "worker", "producer"}

const localStack = "deployments/local"

// remove takes a service away: its folder, its lines, and its program in bin/.
func (r *repository) remove(name string, force bool, out io.Writer) error {
	if name == "" {
		return errors.New("want NAME=billing, the service's name")
	}
	s, found := servicefile.Find(r.services, name)
	if !found {
		return fmt.Errorf("NAME=%s: there is no such service; there are %s", name, strings.Join(names(r.services), ", "))
	}
	if err := r.needed(s); err != nil {
		return err
	}
	if !force {
		if err := r.unsaved(s); err != nil {
			return err
		}
	}
	err := r.change(func() error {
		if err := r.goCommand(".", "", "work", "edit", "-dropuse=./"+s.Dir()); err != nil {
			return err
		}
		if err := r.editIgnored(s, false); err != nil {
			return err
		}
		if err := r.undocument(name); err != nil {
			return err
		}
		rest := slices.DeleteFunc(slices.Clone(r.services), func(other servicefile.Service) bool { return other.Name == name })
		return servicefile.Write(r.path(servicefile.Path), rest)
	})
	if err != nil {
		return err
	}
	if err := os.RemoveAll(r.path(s.Dir())); err != nil {
		return err
	}
	if err := os.Remove(r.path("bin/" + name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err = fmt.Fprintf(out, "%s is gone: its folder, and its lines in go.work, .gitignore and %s\n", s.Dir(), servicefile.Path)
	return err
}

// configuration is the page that has the flags of each program, in a section of its name.
const configuration = "docs/configuration.md"

// undocument takes a program's section out of the page, if it has one: `task docs` has put it there.
func (r *repository) undocument(name string) error {
	text, err := os.ReadFile(r.path(configuration))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	head := "\n## `" + name + "`\n"
	before, section, found := strings.Cut(string(text), head)
	if !found {
		return nil
	}
	rest := "\n"
	if next := strings.Index(section, "\n## "); next >= 0 {
		rest = section[next:]
	}
	return os.WriteFile(r.path(configuration), []byte(before+rest), 0o644)
}

func names(services []servicefile.Service) (names []string) {
	for _, s := range services {
		names = append(names, s.Name)
	}
	return names
}

// needed returns an error if something else needs a service.
func (r *repository) needed(s servicefile.Service) error {
	var others []string
	for _, other := range r.services {
		serves := s.Kind == servicefile.KindRouter || s.Kind == servicefile.KindWorker && other.App == s.App && other.Kind != servicefile.KindRouter
		if serves && other.Name != s.Name {
			others = append(others, other.Name)
		}
	}
	if _, err := os.Stat(r.path(localStack)); err == nil && slices.Contains(originals, s.Name) {
		return fmt.Errorf("NAME=%s: the local stack in %s needs it", s.Name, localStack)
	}
	if len(others) > 0 {
		return fmt.Errorf("NAME=%s: needed by %s: remove these first", s.Name, strings.Join(others, ", "))
	}
	dirs, err := r.dependents(s)
	if err == nil && len(dirs) > 0 {
		err = fmt.Errorf("NAME=%s: the module in %s requires it", s.Name, strings.Join(dirs, ", "))
	}
	return err
}

// unsaved returns an error if a service's folder has a file that git does not have as it is, and that `new` did not make.
func (r *repository) unsaved(s servicefile.Service) error {
	made := map[string][]byte{}
	if slices.Contains(madeKinds, s.Kind) {
		var err error
		if made, err = r.skeleton(s); err != nil {
			return err
		}
	}
	changed, err := r.changed(s.Dir())
	if err != nil {
		return err
	}
	for _, name := range changed {
		text, err := os.ReadFile(r.path(s.Dir() + "/" + name))
		switch {
		case errors.Is(err, fs.ErrNotExist): // deleted
			continue
		case err != nil:
			return err
		case name == "go.mod", name == "go.sum", bytes.Equal(text, made[name]):
			continue
		}
		return fmt.Errorf("NAME=%s: %s/%s has text that git does not have: commit it, or give FORCE=yes", s.Name, s.Dir(), name)
	}
	return nil
}

// changed returns the files of a folder that git does not have as they are; all of them if the repository is not git's.
func (r *repository) changed(dir string) (files []string, err error) {
	git := exec.Command("git", "ls-files", "-z", "--modified", "--others", "--exclude-standard", "--", ".")
	git.Dir = r.path(dir)
	if out, err := git.Output(); err == nil {
		staged := exec.Command("git", "diff", "-z", "--cached", "--name-only", "--relative", "--", ".")
		staged.Dir = git.Dir
		more, err := staged.Output()
		return strings.FieldsFunc(string(out)+string(more), func(r rune) bool { return r == 0 }), err
	}
	err = filepath.WalkDir(r.path(dir), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(r.path(dir), path)
			files = append(files, filepath.ToSlash(name))
		}
		return err
	})
	return files, err
}
