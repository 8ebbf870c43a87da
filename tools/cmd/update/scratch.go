package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/lockstep/tools/git"
	"example.com/lockstep/tools/rename"
)

// A scratch is a repository in which trees of the template are renamed. It borrows the objects of the template's, which stays
// as it is.
type scratch struct {
	repository
}

func newScratch(from source) (*scratch, error) {
	dir, err := os.MkdirTemp("", "update-")
	if err != nil {
		return nil, err
	}
	s := &scratch{repository{dir: dir, env: []string{
		"GIT_AUTHOR_NAME=update-template", "GIT_AUTHOR_EMAIL=update-template@localhost",
		"GIT_COMMITTER_NAME=update-template", "GIT_COMMITTER_EMAIL=update-template@localhost",
	}}}
	// No conversion of line ends: trees must be those of the template.
	if _, err = s.git("clone", "--quiet", "--shared", "--no-checkout", "--template=", "-c", "core.autocrlf=false", from.top.dir, "."); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

func (s *scratch) remove() { os.RemoveAll(s.dir) }

// renamed renames a tree and returns the new one, and the names that it had.
func (s *scratch) renamed(tree string, to rename.Names) (string, rename.Names, error) {
	if _, err := s.git("read-tree", "--reset", "-u", tree); err != nil {
		return "", rename.Names{}, err
	}
	from, err := rename.Of(s.dir)
	if err != nil {
		return "", rename.Names{}, fmt.Errorf("FROM: %w", err)
	}
	if _, err := rename.Tree(s.dir, from, to); err != nil {
		return "", rename.Names{}, fmt.Errorf("FROM: %w", err)
	}
	if _, err := s.git("add", "--update"); err != nil {
		return "", rename.Names{}, err
	}
	tree, err = s.git("write-tree")
	return tree, from, err
}

// commits makes a history of two commits, base and next without the files to leave, as they lie in the fork's repository, and
// puts it there. It returns the second.
func (s *scratch) commits(fork place, base, next string, l leave, from source) (string, error) {
	message := fmt.Sprintf("Update the template to %s\n\nfrom %s\n", short(from.head), short(from.base))
	commit := ""
	for _, step := range []struct {
		tree  string
		leave []string
	}{{base, l.base}, {next, l.next}} {
		tree, err := s.without(step.tree, fork.prefix, step.leave)
		if err != nil {
			return "", err
		}
		args := []string{"commit-tree", tree}
		if commit != "" {
			args = append(args, "-p", commit)
		}
		if commit, err = s.gitWith(message, args...); err != nil {
			return "", err
		}
	}
	if _, err := s.git("update-ref", "refs/update/commit", commit); err != nil {
		return "", err
	}
	_, err := fork.top.git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", s.dir, "refs/update/commit")
	return commit, err
}

// without returns a tree less some files, below a prefix.
func (s *scratch) without(tree, prefix string, leave []string) (string, error) {
	index := s.repository
	index.env = append([]string{"GIT_INDEX_FILE=" + filepath.Join(s.dir, ".git", "index-of-the-fork")}, s.env...)
	read := []string{"read-tree", tree}
	if prefix != "" {
		if _, err := index.git("read-tree", "--empty"); err != nil {
			return "", err
		}
		read = []string{"read-tree", "--prefix=" + prefix, tree}
	}
	if _, err := index.git(read...); err != nil {
		return "", err
	}
	var input strings.Builder
	for _, path := range leave {
		fmt.Fprintf(&input, "%s%s\x00", prefix, path)
	}
	if _, err := index.gitWith(input.String(), "update-index", "--force-remove", "-z", "--stdin"); err != nil {
		return "", err
	}
	return index.git("write-tree")
}

// pick makes the change of a commit in the fork and stages it. It returns the files with conflicts, from the fork's directory.
func (p place) pick(commit string) ([]string, error) {
	// A directory that the template moves takes no file along that only the fork has.
	_, picked := p.top.git("-c", "merge.directoryRenames=false", "-c", "merge.renames=true", "cherry-pick", "--no-commit", "--strategy=ort", commit)
	if picked == nil {
		return nil, nil
	}
	entries, err := git.Lines(p.top.dir, "ls-files", "-z", "--unmerged")
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, picked
	}
	var conflicts []string
	for _, entry := range entries { // mode, object, stage, tab, file
		_, file, _ := strings.Cut(entry, "\t")
		conflicts = append(conflicts, strings.TrimPrefix(file, p.prefix))
	}
	slices.Sort(conflicts)
	return slices.Compact(conflicts), nil
}
