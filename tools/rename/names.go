package rename

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"example.com/lockstep/pkg/appname"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// Names are what a copy of the template is called.
type Names struct {
	// Module is what the paths of all modules begin with, without a slash at its end: github.com/acme/orders.
	Module string `json:"module"`
	// App is the app that programs belong to unless they are told another one. See appname.Rule.
	App string `json:"app"`
}

// Of returns the names of the tree in dir: the module's from pkg/go.mod, the app's from pkg/appname.
func Of(dir string) (Names, error) {
	file := filepath.Join(dir, "pkg", "go.mod")
	b, err := os.ReadFile(file)
	if err != nil {
		return Names{}, fmt.Errorf("read the module's path: %w", err)
	}
	prefix, ok := strings.CutSuffix(modfile.ModulePath(b), "/pkg")
	if !ok {
		return Names{}, fmt.Errorf("%s: the module's path %q does not end in /pkg", file, modfile.ModulePath(b))
	}
	app, err := constant(dir, "Default")
	if err != nil {
		return Names{}, err
	}
	return Names{Module: prefix, App: app}, nil
}

// Check returns an error, in one line, if no tree can have the names.
func (n Names) Check() error {
	if strings.Contains(n.Module, "://") {
		return fmt.Errorf("MODULE %q: want a module path without a scheme, like github.com/acme/orders", n.Module)
	}
	check := module.CheckImportPath // of a path whose first element has no dot, which no proxy serves
	if first, _, _ := strings.Cut(n.Module, "/"); strings.Contains(first, ".") {
		check = module.CheckPath
	}
	if err := check(n.Module + "/pkg"); err != nil {
		var invalid *module.InvalidPathError
		if errors.As(err, &invalid) {
			err = invalid.Err
		}
		return fmt.Errorf("MODULE %q: %w; want a module path like github.com/acme/orders", n.Module, err)
	}
	if err := appname.Check(n.App); err != nil {
		return fmt.Errorf("APP: %w", err)
	}
	return nil
}

// AppOf returns the app that is named after a module: the last element of its path that is no major version, in lower case.
// It may be one that no app can have.
func AppOf(modulePath string) string {
	prefix, _, ok := module.SplitPathVersion(modulePath)
	if !ok {
		prefix = modulePath
	}
	return strings.ToLower(prefix[strings.LastIndex(prefix, "/")+1:])
}

// EnvPrefix returns what the variables of the environment begin with, without the underscore: order-book is ORDER_BOOK.
func (n Names) EnvPrefix() string { return strings.ToUpper(strings.ReplaceAll(n.App, "-", "_")) }

// title returns the app's name as prose writes it: order-book is Order Book.
func (n Names) title() string {
	words := strings.FieldsFunc(n.App, func(r rune) bool { return r == '-' })
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}

// constants returns the values of the constants in pkg/appname that hold a name.
func (n Names) constants() map[string]string {
	return map[string]string{"Default": n.App, "EnvPrefix": n.EnvPrefix(), "Title": n.title()}
}

// appnameFile is the file, below a tree's root, that holds the constants.
const appnameFile = "pkg/appname/appname.go"

// constant returns the value of a constant in the package appname of the tree in dir.
func constant(dir, name string) (string, error) {
	file := filepath.Join(dir, filepath.FromSlash(appnameFile))
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return "", fmt.Errorf("read the names of the app: %w", err)
	}
	lit := constantLiterals(parsed)[name]
	if lit == nil {
		return "", fmt.Errorf("%s: no constant %s that is a string", file, name)
	}
	return strconv.Unquote(lit.Value)
}

// constantLiterals returns the literals of the file's constants that are one string each, by name.
func constantLiterals(file *ast.File) map[string]*ast.BasicLit {
	found := make(map[string]*ast.BasicLit)
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST {
			continue
		}
		for _, spec := range gen.Specs {
			value := spec.(*ast.ValueSpec)
			for i, name := range value.Names {
				if i >= len(value.Values) {
					break
				}
				if lit, ok := value.Values[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					found[name.Name] = lit
				}
			}
		}
	}
	return found
}
