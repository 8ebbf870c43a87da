// Command update takes a newer version of the template into a fork.
//
//	update FROM
//	update --tidy
//
// FROM is a checkout of the template, with its history; what is committed there is taken. The working directory is the root of
// a fork that `go tool task fork` made. The changes from the version that it was forked from, or that it took last, to the
// newest are given the fork's names and picked onto it, as git cherry-pick does: a file that the fork has not changed is
// replaced, others are merged. The result is staged and not committed.
// With --tidy it has go mod tidy write the go.mod and go.sum of each module, as an update does at its end.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

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
		return tidy(dir, out)
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
	up, err := openUpstream(args[0], record)
	if err != nil {
		return err
	}
	if up.base == up.head {
		fmt.Fprintf(out, "%s has nothing newer than %.12s, which this fork has\n", args[0], up.base)
		return nil
	}
	p, err := newPick(dir, up, record.To)
	if err != nil {
		return err
	}
	defer p.remove()
	conflicts, err := p.apply()
	if err != nil {
		return fmt.Errorf("%w; undo what is done with: git reset --hard", err)
	}
	record.Base, record.Tree, record.From = up.head, up.tree, up.names
	if err := rename.WriteRecord(dir, record); err != nil {
		return err
	}
	if _, err := git.Run(dir, "add", "--force", "--", rename.RecordFile); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d commits of %s, from %.12s to %.12s\n", up.commits, args[0], up.base, up.head)
	if len(conflicts) > 0 {
		fmt.Fprintf(out, "\nConflicts in %d files, marked as git marks them:\n  %s\n\n", len(conflicts), strings.Join(conflicts, "\n  "))
		fmt.Fprintln(out, "Resolve them, then: git add --all && go tool task tidy && git add --all && git commit. Give up instead: git reset --hard")
		return errConflicts
	}
	if err := tidy(dir, out); err != nil {
		return fmt.Errorf("%w; the changes are staged: go on with go tool task tidy, or undo them with git reset --hard", err)
	}
	if _, err := git.Run(dir, "add", "--all", "--", "."); err != nil { // it was clean before
		return err
	}
	changed, err := git.Lines(dir, "diff", "--cached", "--name-only", "-z", "--relative")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d files changed, all staged. See them: git diff --staged. Keep them: git commit. Undo them: git reset --hard\n", len(changed))
	fmt.Fprintln(out, "Next: go tool task test")
	return nil
}
