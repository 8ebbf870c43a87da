package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"example.com/lockstep/tools/git"
)

// A repository is a directory in a work tree of git's.
type repository struct {
	dir string
	env []string // in addition to the process's
}

// git is git.Run in the repository.
func (r repository) git(args ...string) (string, error) { return r.gitWith("", args...) }

// gitWith is git with an input.
func (r repository) gitWith(input string, args ...string) (string, error) {
	return git.RunWith(r.dir, r.env, input, args...)
}

// files has the id of each file, with its mode, by its path.
type files map[string]string

// files returns the files of a tree. Paths in it have slashes.
func (r repository) files(tree string) (files, error) {
	entries, err := git.Lines(r.dir, "ls-tree", "-r", "-z", "--full-tree", tree)
	if err != nil {
		return nil, err
	}
	all := make(files)
	for _, entry := range entries {
		if id, path, ok := strings.Cut(entry, "\t"); ok {
			all[path] = id
		}
	}
	return all, nil
}

// content returns what a file of those holds.
func (r repository) content(f files, path string) (string, error) {
	fields := strings.Fields(f[path]) // mode, type, id
	if len(fields) != 3 {
		return "", nil
	}
	cmd := exec.Command("git", "cat-file", "blob", fields[2])
	cmd.Dir = r.dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("read %s from git: %w", path, err)
	}
	return string(out), nil
}

// A place is the directory of a template or a fork. It may be one in a larger repository.
type place struct {
	repository
	top    repository // the root of the work tree
	prefix string     // of dir in top, with a slash at its end; empty if they are the same
}

// findPlace returns the place of a directory that is in a work tree.
func findPlace(dir string) (place, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return place{}, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return place{}, err
	}
	p := place{repository: repository{dir: dir}}
	if p.top.dir, err = p.git("rev-parse", "--show-toplevel"); err != nil {
		return place{}, fmt.Errorf("%s is in no checkout of a git repository: %w", dir, err)
	}
	if p.prefix, err = p.git("rev-parse", "--show-prefix"); err != nil {
		return place{}, err
	}
	if _, err := p.git("rev-parse", "--verify", "--quiet", "HEAD:./"); err != nil {
		return place{}, fmt.Errorf("%s: nothing of this directory is committed to git", dir)
	}
	return p, nil
}

// files returns those of the fork that are committed. Paths are from its directory.
func (p place) files() (files, error) {
	tree, err := p.git("rev-parse", "HEAD:./")
	if err != nil {
		return nil, err
	}
	return p.repository.files(tree)
}

// stage stages files of the fork as they are now, or that they are gone.
func (p place) stage(paths ...string) error {
	if len(paths) == 0 {
		return nil
	}
	_, err := p.git(append([]string{"--literal-pathspecs", "add", "--all", "--force", "--"}, paths...)...)
	return err
}

// short returns the beginning of a commit's id, for people.
func short(commit string) string { return commit[:min(len(commit), 12)] }
