package main

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/servicefile"
	"example.com/lockstep/tools/rename"
)

// copied are the parts of the repository that these tests need.
var copied = []string{"pkg", "services", "deployments", "tools", "docs", "go.work", "go.work.sum", ".gitignore"}

// copyOf copies the repository, and lets the go command fetch nothing for it.
func copyOf(t *testing.T) (root string) {
	t.Helper()
	t.Setenv("GOPROXY", "off")
	root = t.TempDir()
	for _, name := range copied {
		from := filepath.Join("../../..", name)
		info, err := os.Stat(from)
		require.NoError(t, err)
		if info.IsDir() {
			require.NoError(t, os.CopyFS(filepath.Join(root, name), os.DirFS(from)))
			continue
		}
		text, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(root, name), text, 0o644))
	}
	return root
}

// tree returns the text of each file and the names of the folders.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		if entry.IsDir() {
			if entry.Name() == ".git" {
				return filepath.SkipDir
			}
			files[path+"/"] = ""
			return nil
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	}))
	return files
}

func requireSameTree(t *testing.T, before, after map[string]string) {
	t.Helper()
	for path, text := range before {
		require.Contains(t, after, path)
		require.Equal(t, text, after[path], path)
	}
	for path := range after {
		require.Contains(t, before, path)
	}
}

func call(t *testing.T, root string, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, run(root, args, &out), "%v", args)
	return out.String()
}

// goIn runs a go command in a folder.
func goIn(t *testing.T, dir, work string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK="+work)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "go %s in %s: %s", strings.Join(args, " "), dir, out)
}

// made are the services that these tests make: name, kind, app, and the files but for go.mod and go.sum. A fork is unlikely to have
// services of such names itself.
var made = []struct {
	args  []string
	files []string
}{
	{[]string{"zz-ledger"}, []string{"handler.go", "handler_test.go", "main.go"}},
	{[]string{"zz-ledger-feed", "producer", "zz-ledger"}, []string{"generate.go", "generate_test.go", "main.go"}},
	{[]string{"zz-front", "api", "zz-ledger"}, []string{"main.go", "main_test.go"}},
	{[]string{"zz-feed", "producer"}, []string{"generate.go", "generate_test.go", "main.go"}},
}

// A service that is removed leaves no trace, and meanwhile the lists that others read have it.
func TestNewThenRemoveLeavesTheTreeAsItWas(t *testing.T) {
	root := copyOf(t)
	before := tree(t, root)
	for _, m := range made {
		require.Contains(t, call(t, root, append([]string{"new"}, m.args...)...), "services/"+m.args[0]+": a")
		var files []string
		entries, err := os.ReadDir(filepath.Join(root, "services", m.args[0]))
		require.NoError(t, err)
		for _, e := range entries {
			files = append(files, e.Name())
		}
		require.ElementsMatch(t, append(m.files, "go.mod", "go.sum"), files)
		goIn(t, filepath.Join(root, "services", m.args[0]), "off", "mod", "tidy", "-diff")
	}
	services, err := servicefile.Read(filepath.Join(root, servicefile.Path))
	require.NoError(t, err)
	require.Equal(t, []servicefile.Service{
		{Name: "zz-ledger", Kind: "worker", App: "zz-ledger"}, {Name: "zz-ledger-feed", Kind: "producer", App: "zz-ledger"},
		{Name: "zz-front", Kind: "api", App: "zz-ledger"}, {Name: "zz-feed", Kind: "producer", App: ""},
	}, services[len(services)-4:])
	with := tree(t, root)
	goIn(t, root, filepath.Join(root, "go.work"), "work", "sync")
	requireSameTree(t, with, tree(t, root))
	for _, m := range made {
		require.Contains(t, with[filepath.Join(root, "go.work")], "\t./services/"+m.args[0]+"\n")
		require.Contains(t, with[filepath.Join(root, ".gitignore")], "\n/services/"+m.args[0]+"/"+m.args[0]+"\n")
	}

	// What other tasks have left of them goes, too.
	require.NoError(t, os.Mkdir(filepath.Join(root, "bin"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "bin/zz-front"), []byte("built"), 0o755))
	page := filepath.Join(root, configuration)
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(text), "\n## `local`\n"))
	documented := strings.Replace(string(text), "\n## `local`\n", "\n## `zz-front`\n\nflags\n\n## `local`\n", 1)
	require.NoError(t, os.WriteFile(page, []byte(documented), 0o644))
	for _, m := range slices.Backward(made) {
		require.Equal(t, "services/"+m.args[0]+" is gone: its folder, and its lines in go.work, .gitignore and services/services.json\n",
			call(t, root, "remove", m.args[0]))
	}
	require.NoFileExists(t, filepath.Join(root, "bin/zz-front"))
	require.NoError(t, os.Remove(filepath.Join(root, "bin")))
	requireSameTree(t, before, tree(t, root))
}

// The skeletons keep up with the packages that they use: what they make builds, passes go vet and staticcheck, and its tests pass.
func TestNewServicesBuildAndPass(t *testing.T) {
	root := copyOf(t)
	original, err := filepath.Abs("../../..")
	require.NoError(t, err)
	// The packages are the original's, which are in Go's build cache.
	names, err := rename.Of(root)
	require.NoError(t, err)
	version, err := exec.Command("go", "list", "-m", "-f", "{{.GoVersion}}", names.Module+"/pkg").Output()
	require.NoError(t, err)
	work := "go " + string(version) + "\nuse " + filepath.Join(original, "tools") + "\n"
	for _, module := range []string{"pkg", "pkg/load"} {
		work += "replace " + names.Module + "/" + module + " => " + filepath.Join(original, module) + "\n"
	}
	dirs := []string{}
	for _, m := range made {
		call(t, root, append([]string{"new"}, m.args...)...)
		dirs = append(dirs, filepath.Join(root, "services", m.args[0]))
		work += "use " + dirs[len(dirs)-1] + "\n"
	}
	file := filepath.Join(t.TempDir(), "go.work")
	require.NoError(t, os.WriteFile(file, []byte(work), 0o644))
	sum, err := os.ReadFile(filepath.Join(root, "go.work.sum"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file+".sum", sum, 0o644))
	bin := t.TempDir()
	for _, dir := range dirs {
		goIn(t, dir, file, "vet", "./...")
		goIn(t, dir, file, "tool", "staticcheck", "./...")
		goIn(t, dir, file, "test", raceFlag, "./...")
		goIn(t, dir, file, "build", "-o", bin+"/", ".")
	}

	out, err := exec.Command(filepath.Join(bin, "zz-ledger"), "parked", "list", "--nats=nats://127.0.0.1:1").CombinedOutput()
	require.Error(t, err)
	require.True(t, strings.HasPrefix(string(out), "zz-ledger: cannot reach NATS"), "%s", out)
	for program, app := range map[string]string{"zz-ledger run": "zz-ledger", "zz-ledger-feed load": "zz-ledger", "zz-front run": "zz-ledger", "zz-feed load": ""} {
		if app == "" {
			app = names.App
		}
		words := strings.Fields(program)
		help, err := exec.Command(filepath.Join(bin, words[0]), append(words[1:], "--help")...).CombinedOutput()
		require.NoError(t, err, "%s", help)
		require.Regexp(t, `--app="`+app+`"`, string(help))
	}
}

func TestRefusals(t *testing.T) {
	root := copyOf(t)
	names, err := rename.Of(root)
	require.NoError(t, err)
	call(t, root, "new", "zz-ledger")
	call(t, root, "new", "zz-front", "api", "zz-ledger")
	require.NoError(t, os.Mkdir(filepath.Join(root, "services/leftover"), 0o755))
	mod := filepath.Join(root, "deployments/local/go.mod")
	text, err := os.ReadFile(mod)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(mod, append(text, "\nrequire "+names.Module+"/services/zz-front v0.0.0\n"...), 0o644))
	before := tree(t, root)
	for args, says := range map[string]string{
		"":                          "want: service new NAME",
		"fly a":                     "want: service new NAME",
		"new":                       "want NAME=billing, the service's name",
		"new Billing":               "NAME=Billing: want a letter a-z, then at most 30",
		"new ../x":                  "NAME=../x: want a letter a-z",
		"new 1st":                   "NAME=1st: want a letter a-z",
		"new a-":                    "no - at the end",
		"new local":                 "NAME=local: another program or folder of the repository is called so",
		"new vendor":                "NAME=vendor: another program or folder",
		"new worker":                "NAME=worker: there is a service of this name already, a worker of the stack's first app",
		"new zz-front":              "NAME=zz-front: there is a service of this name already, an api of the app zz-ledger",
		"new leftover":              "NAME=leftover: services/leftover is there already, and services/services.json does not list it",
		"new zz-x cron":             "KIND=cron: want one of worker, producer, api",
		"new zz-x router":           "KIND=router: services/router routes the events of any app",
		"new zz-x worker shop":      "FOR=shop: a worker is an app of its own: leave FOR out",
		"new zz-x producer zz-shop": "FOR=zz-shop: no worker applies the events of such an app: want one of " + names.App + ", ",
		"new " + names.App:          "NAME=" + names.App + ": another ",
		"remove":                    "want NAME=billing, the service's name",
		"remove absent":             "NAME=absent: there is no such service; there are router, ",
		"remove leftover":           "NAME=leftover: there is no such service",
		"remove ../pkg":             "NAME=../pkg: there is no such service",
		"remove zz-ledger":          "NAME=zz-ledger: needed by zz-front: remove these first",
		"remove zz-front":           "NAME=zz-front: the module in deployments/local requires it",
		"remove zz-front no":        "FORCE=no: want yes, or nothing",
		"remove router":             "NAME=router: the local stack in deployments/local needs it",
		"remove worker yes":         "NAME=worker: the local stack in deployments/local needs it",
		"remove producer":           "NAME=producer: the local stack in deployments/local needs it",
	} {
		err := run(root, strings.Fields(args), io.Discard)
		require.ErrorContains(t, err, says, args)
		require.NotContains(t, err.Error(), "\n")
	}
	requireSameTree(t, before, tree(t, root))

	// Without the local stack other services still need the router and the first app's worker.
	require.NoError(t, os.RemoveAll(filepath.Join(root, "deployments")))
	require.ErrorContains(t, run(root, []string{"remove", "router"}, io.Discard), "NAME=router: needed by ")
	require.ErrorContains(t, run(root, []string{"remove", "worker"}, io.Discard), "NAME=worker: needed by producer")
}

// An app without a name in the list is the default one, and FOR may name it.
func TestForTheDefaultApp(t *testing.T) {
	root := copyOf(t)
	names, err := rename.Of(root)
	require.NoError(t, err)
	require.Contains(t, call(t, root, "new", "zz-front", "api", names.App), "services/zz-front: an api of the stack's first app")
	services, err := servicefile.Read(filepath.Join(root, servicefile.Path))
	require.NoError(t, err)
	front, found := servicefile.Find(services, "zz-front")
	require.True(t, found)
	require.Equal(t, "", front.App)
}

// A service that cannot be made leaves nothing.
func TestFailureLeavesNothing(t *testing.T) {
	root := copyOf(t)
	main := filepath.Join(root, "pkg/worker/worker.go")
	text, err := os.ReadFile(main)
	require.NoError(t, err)
	absent := strings.Replace(string(text), "import (\n", "import (\n\t_ \"absent.example/x\"\n", 1)
	require.NoError(t, os.WriteFile(main, []byte(absent), 0o644))
	before := tree(t, root)
	err = run(root, []string{"new", "zz-ledger"}, io.Discard)
	require.ErrorContains(t, err, "go mod tidy in services/zz-ledger")
	require.NotContains(t, err.Error(), "\n")
	requireSameTree(t, before, tree(t, root))
}

// What git does not have is not thrown away.
func TestRemoveKeepsText(t *testing.T) {
	for name, git := range map[string]bool{"git": true, "an unpacked archive": false} {
		t.Run(name, func(t *testing.T) {
			root := copyOf(t)
			gitIn := func(args ...string) {
				t.Helper()
				cmd := exec.Command("git", append([]string{"-c", "user.name=n", "-c", "user.email=e@x.invalid", "-c", "commit.gpgsign=false"}, args...)...)
				cmd.Dir = root
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s", out)
			}
			if git {
				gitIn("init", "-q")
				gitIn("add", ".")
				gitIn("commit", "-qm", "one")
			}
			call(t, root, "new", "zz-ledger")
			handler := filepath.Join(root, "services/zz-ledger/handler.go")
			text, err := os.ReadFile(handler)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(handler, append(text, "\n// mine\n"...), 0o644))
			const says = "services/zz-ledger/handler.go has text that git does not have: commit it, or give FORCE=yes"
			require.ErrorContains(t, run(root, []string{"remove", "zz-ledger"}, io.Discard), says)
			if git {
				gitIn("add", ".")
				require.ErrorContains(t, run(root, []string{"remove", "zz-ledger"}, io.Discard), says, "staged alone")
				gitIn("commit", "-qm", "two")
				call(t, root, "remove", "zz-ledger")
			} else {
				call(t, root, "remove", "zz-ledger", "yes")
			}
			require.NoDirExists(t, filepath.Dir(handler))
		})
	}
}

// No service may be called like another program: both would lie in bin/.
func TestProgramsAreReserved(t *testing.T) {
	entries, err := os.ReadDir("..")
	require.NoError(t, err)
	for _, e := range entries {
		require.Contains(t, reserved, e.Name())
	}
}
