package rename

import (
	"bytes"
	"os"
	"regexp"
	"strings"
)

var (
	fence = regexp.MustCompile("^ {0,3}(```+|~~~+)")
	// An import path as code has it, and as a document quotes it.
	quotedPath = regexp.MustCompile(`"([\w./~-]+)"`)
	spanPath   = regexp.MustCompile("`([\\w./~-]+)`")
)

// document renames import paths in the code of a document, and no word of its prose: strings in blocks of code, and code
// spans that are the path of a directory of the tree.
func (r *renaming) document(src []byte) ([]byte, error) {
	var edits []edit
	block := "" // the fence that has begun one
	at := 0
	for line := range bytes.Lines(src) {
		opening := fence.FindSubmatch(line)
		switch {
		case opening != nil && block == "":
			block = string(opening[1])
		case opening != nil && strings.HasPrefix(string(opening[1]), block):
			block = ""
		case block != "":
			edits = append(edits, r.directories(src, at, at+len(line), quotedPath)...)
		default:
			edits = append(edits, r.directories(src, at, at+len(line), spanPath)...)
		}
		at += len(line)
	}
	return apply(src, edits), nil
}

// directories renames like matches, but only paths of packages that are there.
func (r *renaming) directories(src []byte, start, end int, expression *regexp.Regexp) []edit {
	var edits []edit
	for _, m := range expression.FindAllSubmatchIndex(src[start:end], -1) {
		from, to := start+m[2], start+m[3]
		p := string(src[from:to])
		renamed, ok := r.renamed(p)
		if !ok {
			continue
		}
		if info, err := os.Stat(r.path(strings.TrimPrefix(p, r.from.Module+"/"))); err == nil && info.IsDir() {
			edits = append(edits, edit{from, to, renamed})
		}
	}
	return edits
}

// readme renames in the README, whose first heading is the title.
func (r *renaming) readme(src []byte) ([]byte, error) {
	out, err := r.document(src)
	if err != nil {
		return nil, err
	}
	if first, rest, ok := strings.Cut(string(out), "\n"); ok && first == "# "+r.title {
		return []byte("# " + r.to.title() + "\n" + rest), nil
	}
	return out, nil
}
