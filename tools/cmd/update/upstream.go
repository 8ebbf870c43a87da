package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"example.com/lockstep/tools/git"
	"example.com/lockstep/tools/rename"
)

// upstream is a checkout of the template.
type upstream struct {
	dir        string
	base, head string // commits: which the fork has, and the newest
	tree       string // of head
	commits    int    // from base to head
	names      rename.Names
}

// openUpstream finds the commit of a checkout that a fork has.
func openUpstream(dir string, record rename.Record) (*upstream, error) {
	shallow, err := git.Run(dir, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return nil, fmt.Errorf("FROM=%s is no checkout of the template: %w", dir, err)
	}
	if shallow == "true" {
		return nil, fmt.Errorf("FROM=%s is a shallow clone, whose history ends early; run: git -C %s fetch --unshallow", dir, dir)
	}
	up := &upstream{dir: dir}
	if up.head, err = git.Run(dir, "rev-parse", "--verify", "HEAD"); err != nil {
		return nil, err
	}
	if up.tree, err = git.Run(dir, "rev-parse", "--verify", "HEAD:./"); err != nil {
		return nil, err
	}
	if up.base, err = findBase(dir, record); err != nil {
		return nil, err
	}
	count, err := git.Run(dir, "rev-list", "--count", up.base+"..HEAD")
	if err != nil {
		return nil, err
	}
	up.commits, err = strconv.Atoi(count)
	return up, err
}

// findBase returns the commit that the fork has: the newest of the history whose files are those that were forked. The
// record's commit may be of another repository, as after "Use this template".
func findBase(dir string, record rename.Record) (string, error) {
	prefix, err := git.Run(dir, "rev-parse", "--show-prefix")
	if err != nil {
		return "", err
	}
	commits, err := git.Run(dir, "rev-list", "HEAD")
	if err != nil {
		return "", err
	}
	list := strings.Fields(commits)
	cmd := exec.Command("git", "cat-file", "--batch-check=%(objectname)", "--buffer")
	cmd.Dir = dir
	var names strings.Builder
	for _, commit := range list {
		fmt.Fprintf(&names, "%s:%s\n", commit, prefix)
	}
	cmd.Stdin = strings.NewReader(names.String())
	trees, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git cat-file: %w", err)
	}
	for i, tree := range strings.Split(strings.TrimSpace(string(trees)), "\n") {
		if tree == record.Tree {
			return list[i], nil
		}
	}
	return "", fmt.Errorf("FROM=%s has no commit with the files that were forked (commit %.12s, tree %.12s): "+
		"check out a branch that has it, or name the checkout that was forked", dir, record.Base, record.Tree)
}

// export writes the files of a commit into a new directory to.
func (up *upstream) export(commit, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	archive := to + ".tar"
	absolute, err := filepath.Abs(archive)
	if err != nil {
		return err
	}
	if _, err := git.Run(up.dir, "-c", "core.autocrlf=false", "archive", "--format=tar", "--output="+absolute, commit); err != nil {
		return err
	}
	defer os.Remove(archive)
	if out, err := exec.Command("tar", "-xf", archive, "-C", to).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack commit %.12s: %w: %s", commit, err, strings.TrimSpace(string(out)))
	}
	return nil
}
