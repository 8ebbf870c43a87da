package rename

import (
	"bytes"
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

var (
	// go generate takes lines that begin like this, wherever they are.
	generateLine = regexp.MustCompile(`(?m)^//go:generate[ \t].*$`)
	// protoc's flags with a path: module=PATH, and M, a file, =PATH.
	protocFlag = regexp.MustCompile(`\b(?:module|M[^\s=,"']+)=([^\s,;"']+)`)
	goPackage  = regexp.MustCompile(`(?m)^[ \t]*option[ \t]+go_package[ \t]*=[ \t]*"([^";]+)`)
)

func (r *renaming) generate(src []byte) []edit {
	var edits []edit
	for _, line := range generateLine.FindAllIndex(src, -1) {
		edits = append(edits, r.matches(src, line[0], line[1], protocFlag)...)
	}
	return edits
}

// matches renames the paths that an expression's first group matches between start and end.
func (r *renaming) matches(src []byte, start, end int, expression *regexp.Regexp) []edit {
	var edits []edit
	for _, m := range expression.FindAllSubmatchIndex(src[start:end], -1) {
		from, to := start+m[2], start+m[3]
		if renamed, ok := r.renamedPrefix(string(src[from:to])); ok {
			edits = append(edits, edit{from, to, renamed})
		}
	}
	return edits
}

// renamedPrefix is like renamed, of a path that may also be the tree's name itself.
func (r *renaming) renamedPrefix(p string) (string, bool) {
	if p == r.from.Module {
		return r.to.Module, true
	}
	return r.renamed(p)
}

func (r *renaming) proto(src []byte) ([]byte, error) {
	return apply(src, r.matches(src, 0, len(src), goPackage)), nil
}

// generated renames in code that protoc-gen-go wrote: imports, and go_package in the descriptor, where lengths depend on it.
func (r *renaming) generated(src []byte) ([]byte, error) {
	if !bytes.Contains(src, []byte(r.from.Module)) {
		return src, nil
	}
	return r.edited(src, 0, func(file *ast.File, at func(token.Pos) int) ([]edit, error) {
		edits := r.imports(file, at)
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			for _, spec := range gen.Specs {
				value := spec.(*ast.ValueSpec)
				if len(value.Values) != 1 || !strings.HasSuffix(value.Names[0].Name, "_rawDesc") {
					continue
				}
				before, ok := concatenated(value.Values[0])
				if !ok {
					continue
				}
				if after := r.descriptor(before); after != before {
					edits = append(edits, edit{at(value.Values[0].Pos()), at(value.Values[0].End()), descriptorLiteral(after)})
				}
			}
		}
		return edits, nil
	})
}

// concatenated returns the value of string literals with + between them.
func concatenated(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil
	case *ast.BinaryExpr:
		x, ok := concatenated(e.X)
		if !ok || e.Op != token.ADD {
			return "", false
		}
		y, ok := concatenated(e.Y)
		return x + y, ok
	}
	return "", false
}

// descriptorLiteral writes a descriptor as protoc-gen-go does.
func descriptorLiteral(descriptor string) string {
	literal := `""`
	for line := range strings.SplitAfterSeq(descriptor, "\n") {
		literal += " +\n\t" + strconv.Quote(line)
	}
	return literal
}

// Fields of google.protobuf.FileDescriptorProto and FileOptions, which never change.
const (
	optionsField   = 8
	goPackageField = 11
)

// descriptor renames go_package in an encoded FileDescriptorProto.
func (r *renaming) descriptor(encoded string) string {
	return string(changeField([]byte(encoded), optionsField, func(options []byte) []byte {
		return changeField(options, goPackageField, func(value []byte) []byte {
			pkg, name, named := strings.Cut(string(value), ";")
			pkg, _ = r.renamed(pkg)
			if named {
				pkg += ";" + name
			}
			return []byte(pkg)
		})
	}))
}

// changeField changes a field of a message that has bytes as its value. A message that cannot be read stays as it is.
func changeField(message []byte, field protowire.Number, change func([]byte) []byte) []byte {
	var out []byte
	for rest := message; len(rest) > 0; {
		number, kind, tag := protowire.ConsumeTag(rest)
		if tag < 0 {
			return message
		}
		n := protowire.ConsumeFieldValue(number, kind, rest[tag:])
		if n < 0 {
			return message
		}
		if number == field && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(rest[tag:])
			out = protowire.AppendBytes(append(out, rest[:tag]...), change(value))
		} else {
			out = append(out, rest[:tag+n]...)
		}
		rest = rest[tag+n:]
	}
	return out
}
