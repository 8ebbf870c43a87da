// Command update takes a newer version of the template into a fork.
//
//	update FROM
//	update --tidy
//
// FROM is a checkout of the template, with its history; what is committed there is taken. The working directory is the root of
// a fork that `go tool task fork` made. The changes from the version that it was forked from, or that it took last, to the
// newest are given the fork's names and picked onto it, as git cherry-pick does: a file that the fork has not changed is
// replaced, others are merged. The two repositories need no history in common. The result is staged and not committed, and
// .template.json with it, so that one commit keeps both and `git reset --hard` takes both back.
// With --tidy it has go mod tidy write the go.mod and go.sum of each module, as an update does at its end.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"example.com/lockstep/tools/git"
	"example.com/lockstep/tools/rename"
)

func main() {
	if err := run(".", os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "update-template:", err)
		os.Exit(1)
	}
}

var errConflicts = errors.New("the update is not finished: see above")

// run updates the fork in dir.
func run(dir string, args []string, out io.Writer) error {
	if slices.Equal(args, []string{"--tidy"}) {
		return errors.Join(tidy(dir)...)
	}
	if len(args) != 1 || args[0] == "" {
		return errors.New("want FROM=, the directory of a checkout of the template, with its history")
	}
	if err := git.AtLeast(2, 34); err != nil { // before that cherry-pick merged differently
		return err
	}
	record, err := rename.ReadRecord(dir)
	if err != nil {
		return fmt.Errorf("%w; only a copy that was made with go tool task fork can be updated", err)
	}
	if err := git.Clean(dir); err != nil {
		return err
	}
	fork, err := findPlace(dir)
	if err != nil {
		return err
	}
	from, err := findSource(args[0], fork, record)
	if err != nil {
		return err
	}
	if from.baseTree == from.tree {
		fmt.Fprintf(out, "%s has nothing newer than %s, which this fork has\n", args[0], short(from.head))
		return nil
	}
	u, err := prepare(fork, from, record.To)
	if err != nil {
		return err
	}
	if err := u.apply(); err != nil {
		return fmt.Errorf("%w; undo what is done with: git reset --hard", err)
	}
	u.report(out)
	return u.failure()
}

// An update is of one fork.
type update struct {
	fork   place
	from   source
	record rename.Record // as it is afterwards

	base, next, mine files // the template before and afterwards, renamed, and the fork before
	leave            leave
	commit           string // in the fork's repository: the change of the template from base to next, but the files to leave

	conflicts []string // files
	untidy    []error  // what tidy could not do
}

// prepare works out the update and puts its objects into the fork's repository. It changes no file.
func prepare(fork place, from source, to rename.Names) (*update, error) {
	s, err := newScratch(from)
	if err != nil {
		return nil, err
	}
	defer s.remove()
	base, _, err := s.renamed(from.baseTree, to)
	if err != nil {
		return nil, err
	}
	next, names, err := s.renamed(from.tree, to)
	if err != nil {
		return nil, err
	}
	u := &update{fork: fork, from: from, record: rename.Record{Base: from.head, Tree: from.tree, From: names, To: to}}
	if u.base, err = s.repository.files(base); err != nil {
		return nil, err
	}
	if u.next, err = s.repository.files(next); err != nil {
		return nil, err
	}
	if u.mine, err = fork.files(); err != nil {
		return nil, err
	}
	u.leave = leaves(u.base, u.next, u.mine)
	u.commit, err = s.commits(fork, base, next, u.leave, from)
	return u, err
}

// apply changes the fork, and stages what it changes.
func (u *update) apply() (err error) {
	if u.conflicts, err = u.fork.pick(u.commit); err != nil {
		return err
	}
	if err := u.sums(); err != nil {
		return err
	}
	if err := rename.WriteRecord(u.fork.dir, u.record); err != nil {
		return err
	}
	if err := u.fork.stage(rename.RecordFile); err != nil {
		return err
	}
	if len(u.conflicts) > 0 {
		return nil // go.mod may be one of them
	}
	u.untidy = tidy(u.fork.dir)
	_, err = u.fork.git("add", "--all", "--", ".") // it was clean before
	return err
}
