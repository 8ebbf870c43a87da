package main

import (
	"path"
	"slices"

	"example.com/lockstep/tools/rename"
)

// leave has the files that git does not merge, sorted.
type leave struct {
	base, next []string // of either tree
	deleted    []string // those of next that the fork deleted and the template has changed
	unwanted   []string // those that are new in next, in a directory that the fork deleted
}

// leaves says which files git does not merge. A file that the fork deleted is left out of base as well as of next. So it stays
// deleted without a conflict, and git, which then finds no file of base missing in the fork, takes no file that only the fork has
// for one of the template's under another name.
func leaves(base, next, mine files) leave {
	var l leave
	had, has := directories(base), directories(mine)
	for file := range base {
		if _, kept := mine[file]; !kept || ownWay(file) {
			l.base = append(l.base, file)
		}
	}
	for file, id := range next {
		before, old := base[file]
		_, kept := mine[file]
		switch {
		case ownWay(file):
		case old && !kept:
			if id != before {
				l.deleted = append(l.deleted, file)
			}
		case !old && !kept && has[nearest(file, had)] == 0:
			l.unwanted = append(l.unwanted, file)
		default:
			continue
		}
		l.next = append(l.next, file)
	}
	for _, list := range [][]string{l.base, l.next, l.deleted, l.unwanted} {
		slices.Sort(list)
	}
	return l
}

// ownWay tells whether a file is neither replaced nor merged: the record of a template that is a fork, and checksums, which
// sums and tidy mend.
func ownWay(file string) bool {
	return file == rename.RecordFile || isSum(file)
}

// directories counts the files in and below each directory; "." is the root.
func directories(all files) map[string]int {
	count := make(map[string]int)
	for file := range all {
		for dir := path.Dir(file); ; dir = path.Dir(dir) {
			count[dir]++
			if dir == "." {
				break
			}
		}
	}
	return count
}

// nearest returns the innermost directory around a file among those that are there; the root if none is.
func nearest(file string, there map[string]int) string {
	dir := path.Dir(file)
	for dir != "." && there[dir] == 0 {
		dir = path.Dir(dir)
	}
	return dir
}
