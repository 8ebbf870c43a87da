package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"example.com/lockstep/tools/git"
	"example.com/lockstep/tools/rename"
)

// A source is a checkout of the template.
type source struct {
	place
	base, baseTree string // the commit whose files the fork has, and its tree
	head, tree     string // the newest commit, and its tree
	commits        int    // from base to head
	dirty          bool   // files have changes that are not committed, which an update does not take
}

// findSource returns the source in a directory, for a fork with a record.
func findSource(dir string, fork place, record rename.Record) (source, error) {
	p, err := findPlace(dir)
	if err != nil {
		return source{}, fmt.Errorf("FROM=%s is no checkout of the template: %w", dir, err)
	}
	s := source{place: p}
	if s.dir == fork.dir {
		return source{}, fmt.Errorf("FROM=%s is the fork itself; want a checkout of the template", dir)
	}
	shallow, err := s.git("rev-parse", "--is-shallow-repository")
	if err != nil {
		return source{}, err
	}
	if shallow == "true" {
		return source{}, fmt.Errorf("FROM=%s is a shallow clone, whose history ends early; run: git -C %s fetch --unshallow", dir, dir)
	}
	if s.head, err = s.git("rev-parse", "--verify", "HEAD"); err != nil {
		return source{}, err
	}
	if s.tree, err = s.git("rev-parse", "HEAD:./"); err != nil {
		return source{}, err
	}
	if err := s.findBase(record); err != nil {
		return source{}, err
	}
	s.dirty = git.Clean(s.dir) != nil
	count, err := s.git("rev-list", "--count", s.base+"..HEAD")
	if err != nil {
		return source{}, err
	}
	s.commits, err = strconv.Atoi(count)
	return s, err
}

// findBase looks for the newest commit of the history with the files that were forked. The record's commit may be of another
// repository, as after "Use this template". A fork of a fork has the records of both; FROM may be either's template.
func (s *source) findBase(record rename.Record) error {
	list, err := s.git("rev-list", "HEAD")
	if err != nil {
		return err
	}
	commits := strings.Fields(list)
	var input strings.Builder
	for _, commit := range commits {
		fmt.Fprintf(&input, "%s:%s\n", commit, strings.TrimSuffix(s.prefix, "/"))
	}
	out, err := s.gitWith(input.String(), "cat-file", "--batch-check=%(objectname)")
	if err != nil {
		return err
	}
	trees := strings.Split(out, "\n")
	for r := &record; r != nil; r = r.Before {
		if i := slices.Index(trees, r.Tree); i >= 0 {
			s.base, s.baseTree = commits[i], r.Tree
			return nil
		}
	}
	return fmt.Errorf("FROM=%s has no commit with the files that were forked (commit %s, tree %s): "+
		"check out a branch that has it, or name the checkout that was forked", s.dir, short(record.Base), short(record.Tree))
}
