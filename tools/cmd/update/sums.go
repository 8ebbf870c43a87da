package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// isSum tells whether a file has checksums of modules.
func isSum(file string) bool {
	base := path.Base(file)
	return base == "go.sum" || base == "go.work.sum"
}

// sums gives the fork the checksums of the template: its file if the fork has not changed that, or else the lines of both, of
// which tidy drops those too many. After a conflict the fork so builds as soon as that is solved.
func (u *update) sums() error {
	paths := make(map[string]bool)
	for _, all := range []files{u.base, u.next} {
		for file := range all {
			if isSum(file) {
				paths[file] = true
			}
		}
	}
	var changed []string
	for _, file := range slices.Sorted(maps.Keys(paths)) {
		ok, err := u.sum(file)
		if err != nil {
			return fmt.Errorf("update %s: %w", file, err)
		}
		if ok {
			changed = append(changed, file)
		}
	}
	return u.fork.stage(changed...)
}

// sum updates one file and tells whether it is to be staged.
func (u *update) sum(file string) (bool, error) {
	name := filepath.Join(u.fork.dir, filepath.FromSlash(file))
	mine, kept := u.mine[file]
	base, old := u.base[file]
	next, wanted := u.next[file]
	gone := false // the module
	if path.Base(file) != "go.work.sum" {
		_, err := os.Lstat(strings.TrimSuffix(name, "sum") + "mod")
		if gone = errors.Is(err, fs.ErrNotExist); err != nil && !gone {
			return false, err
		}
	}
	switch {
	case !kept && (old || !wanted), mine == next, base == next:
		return false, nil
	case !wanted && (gone || mine == base):
		_, err := u.fork.git("--literal-pathspecs", "rm", "--quiet", "--force", "--", file) // and its folder, if that is empty then
		return false, err
	case !wanted || gone:
		return false, nil
	}
	text, err := u.from.content(u.next, file) // which renaming leaves as it is
	if err != nil {
		return false, err
	}
	if kept && mine != base {
		own, err := u.fork.content(u.mine, file)
		if err != nil {
			return false, err
		}
		text = union(own, text)
	}
	return true, os.WriteFile(name, []byte(text), 0o644)
}

// union returns the lines of both, sorted, each once.
func union(a, b string) string {
	lines := slices.Collect(strings.Lines(a + b))
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "")
}
