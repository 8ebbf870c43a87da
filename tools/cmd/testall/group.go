package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// lengthVariable tells the long tests how much time they have; pkg/testkit reads it.
const lengthVariable = "TESTKIT_LENGTH"

// group is what one `go test` runs.
type group struct {
	name     string
	dir      string
	packages []string // as go test's arguments
	tests    []string // flags that choose among their tests
	alone    bool     // a module outside go.work
}

// groups returns the modules of go.work as one group, so that no processor waits for the end of a module, and each module of
// verify/ as another.
func groups(ctx context.Context, out io.Writer, long bool) ([]group, error) {
	root, modules, err := readWorkspace(ctx)
	if err != nil {
		return nil, err
	}
	work := group{name: "go.work", dir: root, tests: []string{"-skip=^TestLong"}}
	verify := group{name: "verify", dir: filepath.Join(root, "verify"), packages: []string{"./..."}, tests: work.tests, alone: true}
	if !long {
		for _, module := range modules {
			work.packages = append(work.packages, module+"/...")
		}
		return present(out, work, verify), nil
	}
	for _, module := range modules {
		found, err := longPackages(root, module)
		if err != nil {
			return nil, err
		}
		work.packages = append(work.packages, found...)
	}
	work.tests = []string{"-run=^TestLong"}
	verify.tests = work.tests
	verify.packages, err = longPackages(verify.dir, ".")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	sim := group{name: "verify/sim", dir: filepath.Join(root, "verify/sim"), packages: []string{"./..."}, alone: true}
	return present(out, work, verify, sim), nil
}

// present leaves out groups that have nothing to run, and says so of those whose directory was deleted.
func present(out io.Writer, all ...group) (there []group) {
	for _, g := range all {
		if _, err := os.Stat(g.dir); err != nil {
			fmt.Fprintf(out, "%s/ is not here: its tests, which prove the template itself, do not run\n", g.name)
		} else if len(g.packages) > 0 {
			there = append(there, g)
		}
	}
	return there
}

// longPackages returns the directories of a module with tests that take minutes, as go test's arguments. To link the tests of
// all others would take minutes too.
func longPackages(root, module string) (packages []string, err error) {
	top := filepath.Join(root, module)
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			if path != top && err == nil || d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		dir = "./" + filepath.ToSlash(dir)
		if bytes.Contains(text, []byte("\nfunc TestLong")) && (len(packages) == 0 || packages[len(packages)-1] != dir) {
			packages = append(packages, dir)
		}
		return nil
	})
	return packages, err
}

// test feeds r with the events of the group's tests. The caller's flags come after the group's own and win. Its error is go's
// own exit.
func (g group) test(ctx context.Context, flags, env []string, r *report) error {
	if g.alone {
		env = append(slices.Clone(env), "GOWORK=off")
	}
	var stderr strings.Builder
	// One package more than there are processors: tests wait more than they compute.
	atOnce := "-p=" + strconv.Itoa(runtime.GOMAXPROCS(0)+1)
	args := slices.Concat([]string{"test", "-json", "-count=1", atOnce}, g.tests, flags, g.packages)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env, cmd.Stderr = g.dir, env, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := r.read(stdout)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, stderr.String())
	}
	return readErr
}

// readWorkspace returns the directory of go.work and, as paths from there, those of its modules.
func readWorkspace(ctx context.Context) (root string, modules []string, err error) {
	file, err := output(ctx, "env", "GOWORK")
	if err != nil {
		return "", nil, err
	}
	if file == "" || file == "off" {
		return "", nil, fmt.Errorf("no go.work here (GOWORK=%s)", file)
	}
	text, err := output(ctx, "work", "edit", "-json")
	if err != nil {
		return "", nil, err
	}
	var work struct{ Use []struct{ DiskPath string } }
	if err := json.Unmarshal([]byte(text), &work); err != nil {
		return "", nil, fmt.Errorf("read go.work: %w", err)
	}
	for _, use := range work.Use {
		modules = append(modules, use.DiskPath)
	}
	return filepath.Dir(file), modules, nil
}
