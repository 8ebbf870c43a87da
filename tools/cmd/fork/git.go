package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"example.com/lockstep/tools/git"
	"example.com/lockstep/tools/rename"
)

// committed returns the commit and the tree that dir is at. It refuses a directory that git cannot put back.
func committed(dir string) (rename.Record, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return rename.Record{}, errors.New("git was not found: install it, a fork is undone by git")
	}
	if _, err := git.Run(dir, "rev-parse", "--show-toplevel"); err != nil {
		return rename.Record{}, fmt.Errorf("this is not in a git repository, and a fork is undone by git (%w); "+
			"in an unpacked archive run first: git init && git add --all && git commit -m Template", err)
	}
	tree, err := git.Run(dir, "rev-parse", "--verify", "--quiet", "HEAD:./")
	if err != nil {
		return rename.Record{}, errors.New("nothing of this directory is committed to git; run first: git add --all && git commit -m Template")
	}
	base, err := git.Run(dir, "rev-parse", "--verify", "HEAD")
	if err != nil {
		return rename.Record{}, err
	}
	if err := git.Clean(dir); err != nil {
		return rename.Record{}, err
	}
	return rename.Record{Base: base, Tree: tree}, nil
}

// stage puts the fork into git's index, so that `git reset --hard` takes all of it back.
func stage(dir string) error {
	if _, err := git.Run(dir, "add", "--update", "--", "."); err != nil {
		return err
	}
	_, err := git.Run(dir, "add", "--force", "--", rename.RecordFile)
	return err
}

// standard refuses a module path that Go's own packages begin with.
func standard(modulePath string) error {
	first, _, _ := strings.Cut(modulePath, "/")
	if strings.Contains(first, ".") {
		return nil
	}
	out, err := exec.Command("go", "list", "std", "cmd").Output()
	if err != nil {
		return fmt.Errorf("list the packages of Go: %w", err)
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		if pkg == first || strings.HasPrefix(pkg, first+"/") {
			return fmt.Errorf("MODULE %q: Go's own packages begin with %s; want a module path like github.com/acme/orders", modulePath, first)
		}
	}
	return nil
}
