package names

import (
	"go/ast"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var metricName = regexp.MustCompile(`^"[a-z]+(_[a-z]+)+"$`)

// declared returns every name that a file declares, by position: its package, identifiers of all scopes, and the names that
// operators read: flags and variables of the environment, metrics, and attributes of log lines.
func declared(file *ast.File) map[token.Pos]string {
	out := make(map[token.Pos]string)
	note := func(ids ...*ast.Ident) {
		for _, id := range ids {
			if id != nil {
				out[id.Pos()] = id.Name
			}
		}
	}
	note(file.Name)
	metrics := slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return strings.HasSuffix(i.Path.Value, `/prometheus"`) })
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			note(n.Name)
		case *ast.TypeSpec:
			note(n.Name)
		case *ast.ValueSpec:
			note(n.Names...)
		case *ast.ImportSpec:
			note(n.Name)
		case *ast.LabeledStmt:
			note(n.Label)
		case *ast.Field: // of structs, interfaces, parameters, results, receivers, type parameters
			note(n.Names...)
			noteTag(out, n.Tag)
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				noteAll(note, n.Lhs)
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				noteAll(note, []ast.Expr{n.Key, n.Value})
			}
		case *ast.BasicLit:
			if metrics && metricName.MatchString(n.Value) {
				noteText(out, n)
			}
		case *ast.CallExpr:
			for _, key := range attributes(n) {
				noteText(out, key)
			}
		}
		return true
	})
	return out
}

func noteAll(note func(...*ast.Ident), exprs []ast.Expr) {
	for _, e := range exprs {
		if id, ok := e.(*ast.Ident); ok {
			note(id)
		}
	}
}

// noteTag notes the names that a struct tag gives a flag. Fields of JSON are formats, which stay as they are.
func noteTag(out map[token.Pos]string, tag *ast.BasicLit) {
	if tag == nil {
		return
	}
	text, err := strconv.Unquote(tag.Value)
	if err != nil {
		return
	}
	var names []string
	for _, key := range []string{"name", "env"} {
		value, _, _ := strings.Cut(reflect.StructTag(text).Get(key), ",")
		names = append(names, value)
	}
	out[tag.Pos()] = strings.Join(names, " ")
}

func noteText(out map[token.Pos]string, e ast.Expr) {
	if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
		if text, err := strconv.Unquote(lit.Value); err == nil && !strings.Contains(text, " ") {
			out[lit.Pos()] = text
		}
	}
}

// attributes returns the keys in a call that logs, or makes an attribute of a log line.
func attributes(call *ast.CallExpr) (keys []ast.Expr) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	first := 0
	switch sel.Sel.Name {
	case "With":
	case "Debug", "Info", "Warn", "Error":
		first = 1
	case "DebugContext", "InfoContext", "WarnContext", "ErrorContext":
		first = 2
	case "String", "Int", "Int64", "Uint64", "Float64", "Bool", "Time", "Duration", "Any", "Group":
		if pkg, is := sel.X.(*ast.Ident); is && pkg.Name == "slog" && len(call.Args) > 0 {
			return call.Args[:1]
		}
		return nil
	default:
		return nil
	}
	for i := first; i < len(call.Args); i++ {
		if lit, is := call.Args[i].(*ast.BasicLit); is && lit.Kind == token.STRING {
			keys = append(keys, lit)
			i++ // its value
		}
	}
	return keys
}
