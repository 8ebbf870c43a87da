package main

import (
	"encoding/base64"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/stackfile"
)

// maxChanged is how many lines the tutorial may change, added and removed ones together.
const maxChanged = 59

// TestTutorial follows docs/tutorial.md in a copy of the repository: it applies the Go blocks to the files that the text names,
// and runs the commands.
func TestTutorial(t *testing.T) {
	n := newReader(t)
	text, err := os.ReadFile(filepath.Join(n.root, "docs/tutorial.md"))
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```(go|sh)\n(.*?)```").FindAllSubmatchIndex(text, -1)
	applied, ran := 0, 0
	for _, b := range blocks {
		block := string(text[b[4]:b[5]])
		if string(text[b[2]:b[3]]) == "go" {
			named := regexp.MustCompile("`(services/[^`]+\\.go)`").FindAllSubmatch(text[:b[0]], -1)
			require.NotEmpty(t, named)
			applyBlock(t, filepath.Join(n.dir, string(named[len(named)-1][1])), block)
			applied++
			continue
		}
		for line := range strings.Lines(block) {
			t.Logf("$ %s", strings.TrimSpace(line))
			n.read(t, strings.TrimSpace(line))
			ran++
		}
	}
	require.Equal(t, 3, applied)
	require.GreaterOrEqual(t, ran, 15)
	require.Nil(t, n.up, "the last command stops the stack")
}

// newReader copies the workspace's modules into a repository of its own.
func newReader(t *testing.T) *newcomer {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	n := &newcomer{root: root, dir: t.TempDir()}
	t.Cleanup(n.cleanUp)
	for _, dir := range []string{"pkg", "services", "deployments", "tools"} {
		require.NoError(t, os.CopyFS(filepath.Join(n.dir, dir), os.DirFS(filepath.Join(root, dir))))
	}
	for _, file := range []string{"go.work", "go.work.sum", "Taskfile.yml"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(n.dir, file), text, 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(n.dir, ".gitignore"), []byte("/bin\n/.stack\n/report.*\n"), 0o600))
	n.command(t, "git init -q . && git add . && git -c user.name=reader -c user.email=reader@localhost commit -q -m template")
	t.Setenv("GOFLAGS", "-buildvcs=false")
	return n
}

// read runs one command and checks what the tutorial says of it.
func (n *newcomer) read(t *testing.T, line string) {
	switch {
	case line == "go tool task up":
		n.start(t, line)
		file, err := stackfile.Read(filepath.Join(n.dir, stackfile.DefaultDir))
		require.NoError(t, err)
		t.Setenv(appname.EnvPrefix+"_NATS", file.NATS) // the default port may be taken
	case line == "go tool task down":
		n.requireState(t, "alice", `{"status":"paid","refused":1}`)
		n.requireState(t, "bob", `{"status":"paid","refused":0}`)
		n.command(t, line)
		require.NoError(t, n.up.Wait())
		n.up = nil
	case strings.HasPrefix(line, "go tool task load"):
		require.Contains(t, n.command(t, line), "verdict: pass")
	case line == "git diff --stat":
		requireFewLines(t, n.command(t, line))
	case strings.Contains(line, "parked list"), strings.Contains(line, "parked show"): // the events may still be on their way
		var out string
		require.Eventually(t, func() bool { out = n.command(t, line); return strings.Contains(out, "bob") }, 10*time.Second, 50*time.Millisecond)
		require.Contains(t, out, "parked")
	default:
		n.command(t, line)
	}
}

// requireState waits until a key has a state.
func (n *newcomer) requireState(t *testing.T, key, state string) {
	file, err := stackfile.Read(filepath.Join(n.dir, stackfile.DefaultDir))
	require.NoError(t, err)
	nc, err := nats.Connect(file.NATS)
	require.NoError(t, err)
	defer nc.Close()
	want := `"data":"` + base64.StdEncoding.EncodeToString([]byte(state))
	require.Eventually(t, func() bool {
		m, err := nc.Request(file.App+".ctl.query", []byte(`{"keys":["`+key+`"]}`), 5*time.Second)
		require.NoError(t, err)
		return strings.Contains(string(m.Data), want)
	}, 10*time.Second, 50*time.Millisecond, "the state of %s", key)
}

func requireFewLines(t *testing.T, stat string) {
	t.Log(stat)
	changed := 0
	for _, count := range regexp.MustCompile(`(\d+) (?:insertion|deletion)`).FindAllStringSubmatch(stat, -1) {
		lines, err := strconv.Atoi(count[1])
		require.NoError(t, err)
		changed += lines
	}
	require.LessOrEqual(t, changed, maxChanged, stat)
	require.Contains(t, stat, "3 files changed")
}

// applyBlock does with a block of Go what a reader does: a declaration replaces the one of its name and leaves the comment if it has none of its
// own, imports are added before those of the file, all else is added at the end.
func applyBlock(t *testing.T, path, block string) {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	source := string(text)
	const head = "package main\n"
	for _, d := range declarations(t, head+block) {
		if d.name == "import" {
			at := strings.Index(source, "import ")
			source = source[:at] + d.text + "\n\n" + source[at:]
			continue
		}
		replaced := false
		for _, old := range declarations(t, source) {
			if old.name == d.name {
				begin := old.begin
				if !d.commented {
					begin = old.code
				}
				source, replaced = source[:begin]+d.text+source[old.end:], true
			}
		}
		if !replaced {
			source += "\n" + d.text + "\n"
		}
	}
	require.NoError(t, os.WriteFile(path, []byte(source), 0o600))
}

// declaration is one at the top of a file: from its comment, or its code, to its end.
type declaration struct {
	name, text       string
	begin, code, end int
	commented        bool
}

func declarations(t *testing.T, source string) (out []declaration) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", source, parser.ParseComments)
	require.NoError(t, err, source)
	offset := func(p token.Pos) int { return files.Position(p).Offset }
	for _, decl := range file.Decls {
		d := declaration{code: offset(decl.Pos()), end: offset(decl.End())}
		var comment *ast.CommentGroup
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			d.name, comment = decl.Name.Name, decl.Doc
		case *ast.GenDecl:
			comment = decl.Doc
			switch spec := decl.Specs[0].(type) {
			case *ast.TypeSpec:
				d.name = spec.Name.Name
			case *ast.ValueSpec:
				d.name = spec.Names[0].Name
			case *ast.ImportSpec:
				d.name = "import"
			}
		}
		d.begin = d.code
		if d.commented = comment != nil; d.commented {
			d.begin = offset(comment.Pos())
		}
		d.text = source[d.begin:d.end]
		out = append(out, d)
	}
	return out
}
