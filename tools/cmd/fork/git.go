package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"example.com/lockstep/tools/rename"
)

// committed returns the commit and the tree that dir is at. It refuses a directory that git cannot put back.
func committed(dir string) (rename.Record, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return rename.Record{}, errors.New("git was not found: install it, a fork is undone by git")
	}
	if _, err := git(dir, "rev-parse", "--show-toplevel"); err != nil {
		return rename.Record{}, fmt.Errorf("this is not in a git repository, and a fork is undone by git (%w); "+
			"in an unpacked archive run first: git init && git add --all && git commit -m Template", err)
	}
	tree, err := git(dir, "rev-parse", "--verify", "--quiet", "HEAD:./")
	if err != nil {
		return rename.Record{}, errors.New("nothing of this directory is committed to git; run first: git add --all && git commit -m Template")
	}
	base, err := git(dir, "rev-parse", "--verify", "HEAD")
	if err != nil {
		return rename.Record{}, err
	}
	changes, err := git(dir, "status", "--porcelain", "--untracked-files=all", "--", ".")
	if err != nil {
		return rename.Record{}, err
	}
	if changes != "" {
		lines := strings.Split(changes, "\n")
		return rename.Record{}, fmt.Errorf("%d files have changes that are not committed, the first is %s; commit them, or put them aside with: git stash --include-untracked",
			len(lines), strings.TrimSpace(lines[0][2:]))
	}
	return rename.Record{Base: base, Tree: tree}, nil
}

// stage puts the fork into git's index, so that `git reset --hard` takes all of it back.
func stage(dir string) error {
	if _, err := git(dir, "add", "--update", "--", "."); err != nil {
		return err
	}
	_, err := git(dir, "add", "--force", "--", rename.RecordFile)
	return err
}

// git returns what a git command prints, without space around it at the end. Errors have the last line that it says.
func git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		says := strings.TrimSpace(stderr.String())
		says = says[strings.LastIndex(says, "\n")+1:]
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, says)
	}
	return strings.TrimRight(string(out), " \n"), nil
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
