package rename

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
)

// goFile renames import paths and the flags of protoc in lines of go:generate.
func (r *renaming) goFile(src []byte) ([]byte, error) {
	if !bytes.Contains(src, []byte(r.from.Module)) {
		return src, nil
	}
	return r.edited(src, parser.ImportsOnly, func(file *ast.File, at func(token.Pos) int) ([]edit, error) {
		return append(r.imports(file, at), r.generate(src)...), nil
	})
}

// constants renames in pkg/appname: there the constants are set to the new app's.
func (r *renaming) constants(src []byte) ([]byte, error) {
	return r.edited(src, 0, func(file *ast.File, at func(token.Pos) int) ([]edit, error) {
		edits := r.imports(file, at)
		literals := constantLiterals(file)
		for name, value := range r.to.constants() {
			lit := literals[name]
			if lit == nil {
				return nil, fmt.Errorf("no constant %s that is a string", name)
			}
			edits = append(edits, edit{at(lit.Pos()), at(lit.End()), strconv.Quote(value)})
		}
		return edits, nil
	})
}

// edited makes edits in a Go file. One that was as gofmt has it stays so: the order of imports depends on their paths.
func (r *renaming) edited(src []byte, mode parser.Mode, edits func(*ast.File, func(token.Pos) int) ([]edit, error)) ([]byte, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", src, mode|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	list, err := edits(file, func(p token.Pos) int { return set.PositionFor(p, false).Offset })
	if err != nil || len(list) == 0 {
		return src, err
	}
	slices.SortFunc(list, func(a, b edit) int { return a.start - b.start })
	out := apply(src, list)
	if formatted, err := format.Source(src); err == nil && bytes.Equal(formatted, src) {
		return format.Source(out)
	}
	return out, nil
}

func (r *renaming) imports(file *ast.File, at func(token.Pos) int) []edit {
	var edits []edit
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has refused it
		}
		if to, ok := r.renamed(imported); ok {
			edits = append(edits, edit{at(spec.Path.Pos()), at(spec.Path.End()), strconv.Quote(to)})
		}
	}
	return edits
}
