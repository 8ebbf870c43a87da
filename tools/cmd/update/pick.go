package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"example.com/lockstep/tools/git"
	"example.com/lockstep/tools/rename"
)

// A pick is the change from one version of the template to another, with a fork's names, as a commit to be picked onto it.
type pick struct {
	fork    string // its directory
	prefix  string // of that in the fork's repository, with a slash at its end; usually empty
	scratch string // a repository of two commits
	names   rename.Names
	up      *upstream
	was     map[string]bool // the files of the base
	now     []string        // the files of the newest version
}

// newPick makes the commits. What it leaves in the directory remove removes.
func newPick(fork string, up *upstream, names rename.Names) (*pick, error) {
	prefix, err := git.Run(fork, "rev-parse", "--show-prefix")
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "update-template-")
	if err != nil {
		return nil, err
	}
	p := &pick{fork: fork, prefix: prefix, scratch: scratch, names: names, up: up, was: make(map[string]bool)}
	if err := p.commits(); err != nil {
		p.remove()
		return nil, fmt.Errorf("rename the template: %w", err)
	}
	return p, nil
}

func (p *pick) remove() { os.RemoveAll(p.scratch) }

func (p *pick) commits() error {
	if _, err := git.Run(p.scratch, "init", "--quiet"); err != nil {
		return err
	}
	files, err := p.commit(p.up.base)
	if err != nil {
		return err
	}
	for _, file := range files {
		p.was[file] = true
	}
	p.now, err = p.commit(p.up.head)
	return err
}

// commit commits the template's files at one of its commits, renamed, and returns them. It leaves out what is no matter of a
// merge: go.sum, which go mod tidy writes, and the record, which is each fork's own.
func (p *pick) commit(commit string) ([]string, error) {
	dir := filepath.Join(p.scratch, filepath.FromSlash(p.prefix))
	if _, err := git.Run(p.scratch, "rm", "-r", "--force", "--quiet", "--ignore-unmatch", "."); err != nil {
		return nil, err
	}
	// In a directory of its own first: rename.Tree lists files as git does if that is the root of a work tree.
	tree := filepath.Join(p.scratch, ".git", "tree")
	if err := p.up.export(commit, tree); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"init", "--quiet"}, {"-c", "core.autocrlf=false", "add", "--all", "--force"}} {
		if _, err := git.Run(tree, args...); err != nil {
			return nil, err
		}
	}
	names, err := rename.Of(tree)
	if err != nil {
		return nil, err
	}
	p.up.names = names
	if names != p.names {
		if _, err := rename.Tree(tree, names, p.names); err != nil {
			return nil, err
		}
	}
	files, err := rename.Files(tree)
	if err != nil {
		return nil, err
	}
	files = slices.DeleteFunc(files, func(file string) bool {
		return path.Base(file) == "go.sum" || path.Base(file) == "go.work.sum" || file == rename.RecordFile
	})
	for _, file := range files {
		to := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return nil, err
		}
		if err := os.Rename(filepath.Join(tree, filepath.FromSlash(file)), to); err != nil {
			return nil, err
		}
	}
	if err := os.RemoveAll(tree); err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"-c", "core.autocrlf=false", "add", "--all", "--force"},
		{"-c", "user.name=update-template", "-c", "user.email=update-template@localhost", "-c", "commit.gpgsign=false",
			"commit", "--quiet", "--allow-empty", "--no-verify", fmt.Sprintf("--message=the template at %.12s", commit)},
	} {
		if _, err := git.Run(p.scratch, args...); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// apply picks the newer commit onto the fork, without committing, and returns the files with conflicts.
func (p *pick) apply() ([]string, error) {
	had, err := p.files()
	if err != nil {
		return nil, err
	}
	if _, err := git.Run(p.fork, "fetch", "--quiet", "--no-tags", p.scratch, "HEAD"); err != nil {
		return nil, err
	}
	// A directory that the template moves takes no file along that only the fork has.
	_, picked := git.Run(p.fork, "-c", "merge.directoryRenames=false", "cherry-pick", "--no-commit", "--strategy=ort", "FETCH_HEAD")
	stages, err := p.unmerged()
	if err != nil {
		return nil, err
	}
	if picked != nil && len(stages) == 0 {
		return nil, picked
	}
	dropped := p.unwanted(had)
	var conflicts []string
	for file, s := range stages {
		if s.forks {
			conflicts = append(conflicts, file)
		} else { // the fork has deleted it
			dropped = append(dropped, file)
		}
	}
	slices.Sort(conflicts)
	if len(dropped) == 0 {
		return conflicts, nil
	}
	_, err = git.Run(p.fork, append([]string{"rm", "--force", "--quiet", "--ignore-unmatch", "--"}, dropped...)...)
	return conflicts, err
}

// files returns the files that the fork's index has.
func (p *pick) files() (map[string]bool, error) {
	list, err := git.Lines(p.fork, "ls-files", "-z")
	files := make(map[string]bool)
	for _, file := range list {
		files[file] = true
	}
	return files, err
}

// versions are those of a file with a conflict.
type versions struct{ forks bool } // whether one is the fork's

// unmerged returns the files with conflicts.
func (p *pick) unmerged() (map[string]versions, error) {
	list, err := git.Lines(p.fork, "ls-files", "-z", "--unmerged")
	files := make(map[string]versions)
	for _, line := range list { // mode, object, stage, tab, file
		of, file, _ := strings.Cut(line, "\t")
		v := files[file]
		v.forks = v.forks || strings.HasSuffix(of, " 2")
		files[file] = v
	}
	return files, err
}

// unwanted returns the files that the template has added to directories that the fork has deleted.
func (p *pick) unwanted(had map[string]bool) []string {
	directories := func(files map[string]bool) map[string]bool {
		all := make(map[string]bool)
		for file := range files {
			for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
				all[dir] = true
			}
		}
		return all
	}
	were, are := directories(p.was), directories(had)
	var files []string
	for _, file := range p.now {
		if p.was[file] || had[file] {
			continue
		}
		for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
			if were[dir] {
				if !are[dir] {
					files = append(files, file)
				}
				break
			}
		}
	}
	return files
}
