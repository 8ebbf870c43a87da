package rename

import (
	"slices"

	"golang.org/x/mod/modfile"
)

// verbs are the directives of go.mod and go.work that name modules or packages.
var verbs = []string{"module", "require", "replace", "exclude", "tool"}

func (r *renaming) goMod(src []byte) ([]byte, error) {
	file, err := modfile.Parse("go.mod", src, nil)
	if err != nil {
		return nil, err
	}
	if !r.directives(file.Syntax) {
		return src, nil
	}
	file.SortBlocks()
	return modfile.Format(file.Syntax), nil
}

func (r *renaming) goWork(src []byte) ([]byte, error) {
	file, err := modfile.ParseWork("go.work", src, nil)
	if err != nil {
		return nil, err
	}
	if !r.directives(file.Syntax) {
		return src, nil
	}
	file.SortBlocks()
	return modfile.Format(file.Syntax), nil
}

// directives renames the paths in a file's directives and tells whether there were any.
func (r *renaming) directives(file *modfile.FileSyntax) bool {
	changed := false
	for _, statement := range file.Stmt {
		switch s := statement.(type) {
		case *modfile.Line:
			if len(s.Token) > 0 && slices.Contains(verbs, s.Token[0]) {
				changed = r.tokens(s.Token[1:]) || changed
			}
		case *modfile.LineBlock:
			if len(s.Token) == 0 || !slices.Contains(verbs, s.Token[0]) {
				continue
			}
			for _, line := range s.Line {
				changed = r.tokens(line.Token) || changed
			}
		}
	}
	return changed
}

func (r *renaming) tokens(tokens []string) bool {
	changed := false
	for i, token := range tokens {
		if to, ok := r.renamed(token); ok {
			tokens[i], changed = to, true
		}
	}
	return changed
}
