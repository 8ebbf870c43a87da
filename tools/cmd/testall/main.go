// Command testall runs every test of every module in go.work, with the race
// detector. It prints failures in full, one line for each package, which tests did
// not run and why, and last the count: N passed, N failed, N skipped. Subtests count.
// The exit code is 0 only if something ran and nothing failed.
//
//	testall [flags of go test]
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

func main() {
	// What was ignored at the start, as nohup ignores SIGHUP, stays so.
	signals := slices.DeleteFunc([]os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}, signal.Ignored)
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	if !testAll(ctx, os.Stdout, os.Args[1:]) {
		os.Exit(1)
	}
}

// testAll runs the tests of the workspace around the working directory and tells
// whether all is well. Whatever goes wrong outside a test counts as one failure.
func testAll(ctx context.Context, out io.Writer, flags []string) bool {
	var sum counts
	if err := testWorkspace(ctx, out, flags, &sum); err != nil {
		fmt.Fprintf(out, "testall: %v\n", err)
		sum.failed++
	}
	if ctx.Err() != nil {
		fmt.Fprintln(out, "testall: interrupted")
		sum.failed++
	}
	if sum.passed+sum.failed == 0 {
		fmt.Fprintln(out, "testall: no test ran")
	}
	fmt.Fprintln(out, sum)
	return sum.failed == 0 && sum.passed > 0
}

func testWorkspace(ctx context.Context, out io.Writer, flags []string, sum *counts) error {
	redis, err := chooseRedis(os.Getenv, exec.LookPath)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, redis.says)
	race, err := raceFlag(ctx, out)
	if err != nil {
		return err
	}
	modules, err := modules(ctx)
	if err != nil {
		return err
	}
	args := append([]string{"test", "-json", "-count=1"}, race...)
	args = append(append(args, flags...), "./...")
	var notRun []string
	for _, dir := range modules {
		if ctx.Err() != nil {
			break
		}
		r := newReport(out)
		err := testModule(ctx, dir, args, redis.choice, r)
		sum.add(r.total)
		if err != nil && r.total.failed == 0 {
			fmt.Fprintf(out, "FAIL %s: %v\n", dir, err)
			sum.failed++
		}
		notRun = append(notRun, r.notRun...)
	}
	if len(notRun) > 0 {
		fmt.Fprintf(out, "\nTests that did not run (%d):\n  %s\n", len(notRun), strings.Join(notRun, "\n  "))
	}
	return nil
}

// testModule feeds r with the events of one module's tests. Its error is go's own exit.
func testModule(ctx context.Context, dir string, args []string, redis string, r *report) error {
	packages, err := output(ctx, dir, "list", "./...")
	if err != nil {
		return err
	}
	if len(packages) == 0 {
		return nil
	}
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), redisVariable+"="+redis)
	cmd.Stderr = &stderr
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

// modules returns the directories of go.work's modules.
func modules(ctx context.Context) ([]string, error) {
	file, err := output(ctx, "", "env", "GOWORK")
	if err != nil {
		return nil, err
	}
	if file == "" || file == "off" {
		return nil, fmt.Errorf("no go.work here (GOWORK=%s)", file)
	}
	text, err := output(ctx, "", "work", "edit", "-json")
	if err != nil {
		return nil, err
	}
	var work struct{ Use []struct{ DiskPath string } }
	if err := json.Unmarshal([]byte(text), &work); err != nil {
		return nil, fmt.Errorf("read go.work: %w", err)
	}
	var dirs []string
	for _, use := range work.Use {
		dirs = append(dirs, filepath.Join(filepath.Dir(file), use.DiskPath))
	}
	return dirs, nil
}

// raceFlag returns -race where it can work: it needs a C compiler on most systems.
// Under CI=true one must be there.
func raceFlag(ctx context.Context, out io.Writer) ([]string, error) {
	cgo, err := output(ctx, "", "env", "CGO_ENABLED")
	if err != nil {
		return nil, err
	}
	cc, err := output(ctx, "", "env", "CC")
	if err != nil {
		return nil, err
	}
	compiler, _, _ := strings.Cut(cc, " ")
	_, missing := exec.LookPath(compiler)
	if cgo == "1" && missing == nil {
		return []string{"-race"}, nil
	}
	if os.Getenv("CI") == "true" {
		return nil, fmt.Errorf("the race detector needs a C compiler (CC=%s, CGO_ENABLED=%s)", cc, cgo)
	}
	fmt.Fprintln(out, "Race detector: off, it needs a C compiler and none was found")
	return nil, nil
}

// output returns what a go command prints, without the final newline.
func output(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
