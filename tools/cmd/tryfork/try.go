package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.com/lockstep/tools/rename"
)

// A fork is a copy of the repository with names of its own, in a directory that is removed afterwards.
type fork struct {
	dir     string
	names   rename.Names
	history bool     // it is a clone; else its history begins with it, as by "Use this template"
	files   []string // see rename.Files
	modules []module
	failed  []string // the steps
}

type module struct {
	dir   string
	alone bool // not in go.work
}

// try forks the repository in the working directory and checks the fork. The error names the steps that failed.
func try(ctx context.Context, n rename.Names, history, full bool) error {
	fmt.Printf("\n=== go tool task fork MODULE=%s APP=%s\n", n.Module, n.App)
	dir, err := os.MkdirTemp("", "tryfork-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f := &fork{dir: dir, names: n, history: history}
	if err := f.make(ctx); err != nil {
		fmt.Printf("    %v\n", err)
		return err
	}
	f.check(ctx)
	if full && len(f.failed) == 0 {
		f.step(ctx, ".ci/run --no-fork", ".", nil, os.Stdout, ".ci/run", "--no-fork")
	}
	if len(f.failed) > 0 {
		return errors.New("failed: " + strings.Join(f.failed, ", "))
	}
	return ctx.Err()
}

// make copies the repository as it is, with what is not committed, and forks the copy.
func (f *fork) make(ctx context.Context) error {
	if err := f.copy(ctx); err != nil {
		return fmt.Errorf("copy the repository: %w", err)
	}
	commit := []string{"git", "-c", "user.name=tryfork", "-c", "user.email=tryfork@localhost", "commit", "--quiet", "--allow-empty"}
	for _, args := range [][]string{
		{"git", "add", "--all"},
		append(slices.Clip(commit), "--message=Template"),
		{"go", "tool", "task", "fork", "MODULE=" + f.names.Module, "APP=" + f.names.App},
		append(slices.Clip(commit), "--message=Fork"),
	} {
		if err := f.command(ctx, ".", nil, nil, args...); err != nil {
			return err
		}
	}
	return f.findModules(ctx)
}

func (f *fork) copy(ctx context.Context) error {
	var err error
	if f.files, err = rename.Files("."); err != nil {
		return err
	}
	begin := []string{"git", "init", "--quiet", "."}
	if _, err := os.Lstat(".git"); err == nil && f.history {
		here, err := os.Getwd()
		if err != nil {
			return err
		}
		begin = []string{"git", "clone", "--quiet", "--no-checkout", here, "."}
	}
	if err := f.command(ctx, ".", nil, nil, begin...); err != nil {
		return err
	}
	for _, file := range f.files {
		if err := copyFile(filepath.FromSlash(file), filepath.Join(f.dir, filepath.FromSlash(file))); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, b, info.Mode().Perm())
}

func (f *fork) findModules(ctx context.Context) error {
	var out strings.Builder
	if err := f.command(ctx, ".", nil, &out, "go", "list", "-m", "-f", "{{.Dir}}"); err != nil {
		return err
	}
	root, err := filepath.EvalSymlinks(f.dir)
	if err != nil {
		return err
	}
	for _, file := range f.files {
		if path.Base(file) == "go.mod" {
			dir := path.Dir(file)
			f.modules = append(f.modules, module{dir, !slices.Contains(strings.Fields(out.String()), filepath.Join(root, filepath.FromSlash(dir)))})
		}
	}
	return nil
}

// check runs every step, so that one look shows all that is wrong.
func (f *fork) check(ctx context.Context) {
	f.silent(ctx, "gofmt", ".", nil, "gofmt", "-l", ".")
	for _, m := range f.modules {
		var env []string
		if m.alone {
			env = []string{"GOWORK=off"}
		}
		f.silent(ctx, m.dir+": go mod tidy -diff", m.dir, []string{"GOWORK=off"}, "go", "mod", "tidy", "-diff")
		if slices.ContainsFunc(f.files, func(file string) bool { return path.Ext(file) == ".go" && f.moduleOf(path.Dir(file)) == m }) {
			f.step(ctx, m.dir+": go vet", m.dir, env, nil, "go", "vet", "./...") // which compiles the tests as well
		}
	}
	found, err := f.testsWithNames()
	if err != nil {
		f.fail("tests that mention a name", err)
	}
	for _, tests := range found {
		var env []string
		if tests.dir != "." {
			env = []string{"GOWORK=off"}
		}
		args := append([]string{"go", "test", "-count=1", "-run=^(" + strings.Join(tests.names, "|") + ")$"}, tests.packages...)
		f.step(ctx, fmt.Sprintf("%s: %d tests that mention a name", tests.dir, len(tests.names)), tests.dir, env, nil, args...)
	}
	f.step(ctx, "demo", ".", nil, nil, "go", "tool", "task", "demo", "DURATION=5s")
}

// step runs a command in a directory of the fork and notes whether it failed. Without out it prints only a failure's output.
func (f *fork) step(ctx context.Context, name, dir string, env []string, out io.Writer, args ...string) {
	began := time.Now()
	fmt.Printf("--- %s\n", name)
	if err := f.command(ctx, dir, env, out, args...); err != nil {
		f.fail(name, err)
		return
	}
	fmt.Printf("    ok, %.0f s\n", time.Since(began).Seconds())
}

// silent is a step that also fails if it prints anything.
func (f *fork) silent(ctx context.Context, name, dir string, env []string, args ...string) {
	fmt.Printf("--- %s\n", name)
	var out strings.Builder
	err := f.command(ctx, dir, env, &out, args...)
	if err == nil && out.Len() > 0 {
		err = errors.New(out.String())
	}
	if err != nil {
		f.fail(name, err)
	}
}

func (f *fork) fail(name string, err error) {
	fmt.Printf("    FAILED: %s: %v\n", name, err)
	f.failed = append(f.failed, name)
}

// command runs a command in a directory of the fork. Its output goes to out, or into the error if that is nil.
func (f *fork) command(ctx context.Context, dir string, env []string, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = filepath.Join(f.dir, dir)
	cmd.Env = append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if out != nil {
		cmd.Stdout = out
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args[:min(len(args), 4)], " "), err, said.String())
	}
	return nil
}
