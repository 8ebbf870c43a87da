package main

import (
	"fmt"
	"io"
	"strings"
)

// report tells what was done and what to do next.
func (u *update) report(out io.Writer) {
	fmt.Fprintf(out, "%d commits of %s, from %s to %s\n", u.from.commits, u.from.dir, short(u.from.base), short(u.from.head))
	if u.from.dirty {
		fmt.Fprintln(out, "Changes there that are not committed are not taken.")
	}
	var added, replaced, merged, deleted int
	for file, id := range u.next {
		before, old := u.base[file]
		mine, kept := u.mine[file]
		switch {
		case ownWay(file) || id == before || id == mine:
		case !old && !kept:
			added++
		case !kept:
		case mine == before:
			replaced++
		default:
			merged++
		}
	}
	added -= len(u.leave.unwanted)
	for file := range u.base {
		_, wanted := u.next[file]
		if _, kept := u.mine[file]; kept && !wanted && !ownWay(file) {
			deleted++
		}
	}
	fmt.Fprintf(out, "Files: %d new, %d replaced, %d merged with your changes, %d deleted or moved\n", added, replaced, merged, deleted)
	list(out, "You deleted these, and they stay deleted, though the template has changed them:", u.leave.deleted)
	list(out, "These are new in directories that you deleted, and were left out:", u.leave.unwanted)
	list(out, fmt.Sprintf("\nConflicts in %d files, marked as git marks them:", len(u.conflicts)), u.conflicts)
	fmt.Fprintln(out)
	if len(u.conflicts) > 0 {
		fmt.Fprintln(out, "Resolve them, then: git add --all && go tool task tidy && git add --all && git commit. Give up instead: git reset --hard")
		return
	}
	fmt.Fprintln(out, "All of it is staged. See it: git diff --staged. Keep it: git commit. Undo it: git reset --hard")
	if len(u.untidy) == 0 {
		fmt.Fprintln(out, "Next: go tool task test")
	}
}

func list(out io.Writer, title string, lines []string) {
	if len(lines) > 0 {
		fmt.Fprintf(out, "%s\n  %s\n", title, strings.Join(lines, "\n  "))
	}
}
