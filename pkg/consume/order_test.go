package consume

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// noImports is an importer that finds nothing: the test looks at the package's own names only.
type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not imported") }

// The package's doc comment names the layers of its files. No file uses a name that is declared in a layer above its own.
func TestFilesUseNoLayerAboveThem(t *testing.T) {
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var files []*ast.File
	layers := make(map[string]int) // by file, from 1 on
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, f)
		if f.Doc == nil {
			continue
		}
		layer := 0
		for _, line := range regexp.MustCompile(`(?m)^\t.*`).FindAllString(f.Doc.Text(), -1) {
			if line[1] != ' ' { // else the line before goes on
				layer++
			}
			for _, named := range regexp.MustCompile(`[a-z]+\.go`).FindAllString(line, -1) {
				require.Zero(t, layers[named], "%s is named twice", named)
				layers[named] = layer
			}
		}
	}
	require.Len(t, layers, len(files), "the doc comment names each file")
	info := types.Info{Uses: make(map[*ast.Ident]types.Object)}
	cfg := types.Config{Importer: noImports{}, Error: func(error) {}}
	_, _ = cfg.Check("consume", fset, files, &info) // other packages are unknown to it
	for id, object := range info.Uses {
		from, to := fset.Position(id.Pos()), fset.Position(object.Pos())
		if object.Pkg() == nil || object.Pkg().Name() != "consume" || from.Filename == to.Filename {
			continue
		}
		require.NotZero(t, layers[from.Filename], "%s is not named in the doc comment", from.Filename)
		if layers[from.Filename] > layers[to.Filename] {
			t.Errorf("%s uses %s, which a layer above it declares in %s", from, id.Name, to.Filename)
		}
	}
}
