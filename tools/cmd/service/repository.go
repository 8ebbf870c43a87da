package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"example.com/lockstep/pkg/servicefile"
	"example.com/lockstep/tools/rename"
)

// repository is a copy of the template.
type repository struct {
	root     string
	names    rename.Names
	services []servicefile.Service
}

// open reads the repository at root.
func open(root string) (*repository, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	r := &repository{root: root}
	if r.services, err = servicefile.Read(r.path(servicefile.Path)); err != nil {
		return nil, err
	}
	r.names, err = rename.Of(root)
	return r, err
}

func (r *repository) path(name string) string { return filepath.Join(r.root, filepath.FromSlash(name)) }

// shared are the files that a service has a line in, and that the go command may change with them.
var shared = []string{servicefile.Path, "go.work", "go.work.sum", ".gitignore", configuration}

// change calls do. If that fails, change puts the shared files back as they were.
func (r *repository) change(do func() error) error {
	before := make(map[string][]byte)
	for _, name := range shared {
		text, err := os.ReadFile(r.path(name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		before[name] = text
	}
	err := do()
	if err == nil {
		return nil
	}
	for name, text := range before {
		if text == nil {
			continue
		}
		if werr := os.WriteFile(r.path(name), text, 0o644); werr != nil {
			err = errors.Join(err, werr)
		}
	}
	return err
}

// goCommand runs a go command in a folder. work is the workspace: "off", or "" for the repository's.
func (r *repository) goCommand(dir, work string, args ...string) error {
	cmd := exec.Command("go", args...)
	if work == "" {
		work = r.path("go.work")
	}
	cmd.Dir, cmd.Env = r.path(dir), append(os.Environ(), "GOWORK="+work)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s in %s: %w: %s", strings.Join(args, " "), dir, err, lastLine(out))
	}
	return nil
}

func lastLine(out []byte) string {
	text := strings.TrimSpace(string(out))
	return text[strings.LastIndex(text, "\n")+1:]
}

// ignored is the line of .gitignore for a program that `go build` leaves in the service's folder.
func ignored(s servicefile.Service) string { return "/" + s.Dir() + "/" + s.Name }

// editIgnored puts a service's line into .gitignore after the other services', or takes it away.
func (r *repository) editIgnored(s servicefile.Service, add bool) error {
	file := r.path(".gitignore")
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(text), "\n")
	at := len(lines)
	for i, line := range lines {
		if strings.HasPrefix(line, "/services/") && strings.HasSuffix(line, "\n") {
			at = i + 1
		}
	}
	line := ignored(s) + "\n"
	switch has := slices.Index(lines, line); {
	case add && at < len(lines):
		lines = slices.Insert(lines, at, line)
	case !add && has >= 0:
		lines = slices.Delete(lines, has, has+1)
	}
	return os.WriteFile(file, []byte(strings.Join(lines, "")), 0o644)
}

// dependents returns the folders of the workspace's modules that require a service's module.
func (r *repository) dependents(s servicefile.Service) (dirs []string, err error) {
	text, err := os.ReadFile(r.path("go.work"))
	if err != nil {
		return nil, err
	}
	work, err := modfile.ParseWork("go.work", text, nil)
	if err != nil {
		return nil, err
	}
	for _, use := range work.Use {
		file := r.path(use.Path + "/go.mod")
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		mod, err := modfile.Parse(file, text, nil)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(mod.Require, func(m *modfile.Require) bool { return m.Mod.Path == r.names.Module+"/"+s.Dir() }) {
			dirs = append(dirs, strings.TrimPrefix(use.Path, "./"))
		}
	}
	return dirs, nil
}
