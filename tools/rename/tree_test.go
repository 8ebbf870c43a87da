package rename

import (
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// names that a tree may have, of many lengths, some of them words that are all over the tree.
var names = []Names{
	{"example.com/template", "template"},
	{"a.b/c", "x"},
	{"github.com/acme/orders", "orders"},
	{"github.com/acme/orders/v2", "order-book"},
	{"event", "event"},
	{"work", "work"},
	{"pkg", "pkg"},
	{"git.internal.example.org/platform/payments/event-backend/work", "event-backend-of-the-payments"},
	{"example.org/template", "shop"}, // as long as the first
}

func TestTreeBecomesWhatItWouldHaveBeen(t *testing.T) {
	for _, from := range names {
		for _, to := range names {
			if from == to {
				continue
			}
			t.Run(from.Module+" "+to.Module, func(t *testing.T) {
				dir := t.TempDir()
				written, want := tree(t, from), tree(t, to)
				write(t, dir, written)
				got, err := Of(dir)
				require.NoError(t, err)
				require.Equal(t, from, got)

				changed, err := Tree(dir, from, to)
				require.NoError(t, err)
				for file, content := range want {
					b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
					require.NoError(t, err)
					require.Equal(t, content, string(b), file)
					if content == written[file] {
						require.NotContains(t, changed, file)
					} else {
						require.Contains(t, changed, file)
					}
				}
			})
		}
	}
}

// tree returns the files of a template with those names. Words that are names of some tree are all over it.
func tree(t *testing.T, n Names) map[string]string {
	t.Helper()
	m := n.Module
	files := map[string]string{
		"README.md": "# " + n.title() + "\n\nAn event of template, work and orders: `" + m + "/pkg/order` in event/pkg/order. `work` `event/pkg/none`\n\n" +
			"```go\nimport \"" + m + "/pkg/order\" // event/pkg\nconst work = \"event\" + \"work/x\"\n```\n\nA \"work/pkg/order\" `pkg`.\n",
		"CHANGELOG.md":  "# Changelog\n\n`event/pkg/order` was `work/pkg/order`, and `example.com/template/pkg/order` before.\n",
		"docs/event.md": "# Template\n\nThe template's event. ~~~~\n\n~~~sh\ncat work/pkg/order <<'EOF'\n\"" + m + "/pkg/order\"\nEOF\n~~~\n\nwork/pkg/order\n",
		"go.work":       "go 1.26.0\n\nuse (\n\t./pkg\n\t./services/work\n)\n\nreplace " + m + "/pkg v0.0.0 => ./pkg\n",
		"pkg/go.mod":    "module " + m + "/pkg\n\ngo 1.26.0\n",
		"pkg/appname/appname.go": fmt.Sprintf("package appname\n\nconst (\n\tDefault   = %q // event\n\tEnvPrefix = %q\n\tTitle     = %q\n)\n\n"+
			"const Other = \"work\"\n", n.App, n.EnvPrefix(), n.title()),
		"pkg/order/order.go": "// Package order is the event of a template: \"event/pkg/order\".\npackage order\n\n" +
			"//go:generate sh -c \"cd work && protoc --go_opt=module=" + m + " --go_opt=Mevent.proto=" + m + "/pkg/order,work --go_opt=Mwork=event.proto\"\n\n" +
			"import (\n\t\"fmt\"\n\n\t_ \"github.com/acme/other/work\"\n\t\"" + m + "/pkg/appname\"\n\tevent \"" + m + "/pkg/order/work\"\n\t_ \"golang.org/x/mod/modfile\"\n)\n\n" +
			"// Event is of event/pkg/order.\nfunc Event() { fmt.Println(appname.Default, event.Work, \"event/pkg/order\", \"work\", `pkg/order`) }\n",
		"pkg/order/work/work.go": "package work\n\nconst  Work = \"event\" // not as gofmt has it\n",
		"pkg/order/event.proto":  "syntax = \"proto3\";\npackage event.work;\noption go_package = \"" + m + "/pkg/order;event\";\nmessage event { string work = 1; }\n",
		"pkg/order/event.pb.go":  "package order\n\nconst file_event_proto_rawDesc = " + descriptorLiteral(descriptor(t, m+"/pkg/order;event")) + "\n",
		"services/work/go.mod": "module " + m + "/services/work\n\ngo 1.26.0\n\nrequire (\n\tgithub.com/acme/other v0.0.0\n\t" + m + "/pkg v0.0.0 // indirect\n)\n\n" +
			"tool " + m + "/services/work\n\nreplace " + m + "/pkg => ../../pkg\n",
		"services/work/main.go": "package main\n\nimport \"" + m + "/pkg/order\"\n\nfunc main() { order.Event() }\n",
		"event.txt":             "event work orders template example.com/template event/pkg/order\n",
	}
	for file, content := range files {
		switch {
		case strings.HasSuffix(file, "go.mod"):
			parsed, err := modfile.Parse(file, []byte(content), nil)
			require.NoError(t, err)
			parsed.SortBlocks()
			files[file] = string(modfile.Format(parsed.Syntax))
		case strings.HasSuffix(file, ".go") && !strings.Contains(content, "not as gofmt"):
			formatted, err := format.Source([]byte(content))
			require.NoError(t, err)
			files[file] = string(formatted)
		}
	}
	return files
}

func descriptor(t *testing.T, goPackage string) string {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&descriptorpb.FileDescriptorProto{
		Name:    proto.String("event.proto"),
		Package: proto.String("event.work"),
		Options: &descriptorpb.FileOptions{JavaPackage: proto.String("work"), GoPackage: &goPackage, RubyPackage: proto.String("event")},
		Syntax:  proto.String("proto3"),
	})
	require.NoError(t, err)
	return string(b)
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for file, content := range files {
		name := filepath.Join(dir, filepath.FromSlash(file))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	}
}

func TestModulesOfOthersKeepTheirNames(t *testing.T) {
	dir := t.TempDir()
	from := Names{"github.com/acme", "acme"}
	files := tree(t, from)
	files["pkg/order/more.go"] = "package order\n\nimport _ \"github.com/acme/other/work\"\n"
	write(t, dir, files)
	_, err := Tree(dir, from, Names{"example.org/shop", "shop"})
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(dir, "pkg/order/more.go"))
	require.NoError(t, err)
	require.Equal(t, files["pkg/order/more.go"], string(b))
	b, err = os.ReadFile(filepath.Join(dir, "services/work/go.mod"))
	require.NoError(t, err)
	require.Contains(t, string(b), "\tgithub.com/acme/other v0.0.0\n")
}

func TestDescriptorIsWrittenAsProtocGenGoWritesIt(t *testing.T) {
	for _, file := range []string{"frame/framepb/frame.pb.go", "aside/asidepb/aside.pb.go"} {
		b, err := os.ReadFile(filepath.Join("..", "..", "pkg", filepath.FromSlash(file)))
		require.NoError(t, err)
		_, after, ok := strings.Cut(string(b), "_rawDesc = ")
		require.True(t, ok, file)
		literal, _, ok := strings.Cut(after, "\n\n")
		require.True(t, ok, file)
		value := ""
		for line := range strings.SplitSeq(literal, " +\n\t") {
			s, err := strconv.Unquote(line)
			require.NoError(t, err, line)
			value += s
		}
		require.Equal(t, literal, descriptorLiteral(value))
	}
}

func TestNamesThatNoTreeCanHave(t *testing.T) {
	for _, test := range []struct{ module, app, says string }{
		{"", "orders", `MODULE ""`},
		{"https://github.com/acme/orders", "orders", "without a scheme"},
		{"github.com/acme/orders/", "orders", "slash"},
		{"github.com//orders", "orders", "slash"},
		{"/orders", "orders", "empty path element"},
		{"./orders", "orders", "MODULE"},
		{"github.com/acme/my orders", "orders", "invalid char"},
		{"github.com/acme/orders@v1", "orders", "invalid char"},
		{"-x/orders", "orders", "dash"},
		{"github.com/acme/.orders", "orders", "dot"},
		{"github.com/acme/orders", "", `app ""`},
		{"github.com/acme/orders", "Orders", `app "Orders"`},
		{"github.com/acme/orders", "2orders", `app "2orders"`},
		{"github.com/acme/orders", "my_orders", `app "my_orders"`},
		{"github.com/acme/orders", strings.Repeat("o", 32), "30"},
	} {
		err := Names{test.module, test.app}.Check()
		require.ErrorContains(t, err, test.says, "%s %s", test.module, test.app)
		require.NotContains(t, err.Error(), "\n")
	}
	for _, n := range names {
		require.NoError(t, n.Check())
	}
}

func TestAppIsNamedAfterTheModule(t *testing.T) {
	for module, app := range map[string]string{
		"github.com/acme/Orders":    "orders",
		"github.com/acme/orders/v2": "orders",
		"gopkg.in/orders.v3":        "orders",
		"work":                      "work",
	} {
		require.Equal(t, app, AppOf(module), module)
	}
	require.Equal(t, "ORDER_BOOK", Names{App: "order-book"}.EnvPrefix())
	require.Equal(t, "Order Book", Names{App: "order-book-"}.title())
}
