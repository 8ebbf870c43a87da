// Command testall runs the tests of every module in go.work and of verify/, with the race detector. It prints failures in
// full, one line for each package and each group of modules, which tests did not run and why, and last the count: N passed,
// N failed, N skipped. Subtests count. The exit code is 0 only if something ran and nothing failed.
//
//	testall [-long=LENGTH] [flags of go test]
//
// Tests that take minutes have names that begin with TestLong. Without -long they are left out; with it they alone run, and
// all of verify/sim: at length 1 in their short form, at 10 in full.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
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

// testAll runs the tests of the workspace around the working directory and of verify/, and tells whether all is well.
// A failure outside a test counts as one.
func testAll(ctx context.Context, out io.Writer, args []string) bool {
	var sum counts
	if err := testGroups(ctx, out, args, &sum); err != nil {
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

func testGroups(ctx context.Context, out io.Writer, args []string, sum *counts) error {
	length := ""
	if len(args) > 0 && strings.HasPrefix(args[0], "-long=") {
		length, args = strings.TrimPrefix(args[0], "-long="), args[1:]
	}
	redis, err := chooseRedis(os.Getenv, exec.LookPath)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, redis.says)
	flags, err := raceFlag(ctx, out)
	if err != nil {
		return err
	}
	flags = append(flags, args...)
	env := append(os.Environ(), redisVariable+"="+redis.choice, lengthVariable+"="+length)
	groups, err := groups(ctx, out, length != "")
	if err != nil {
		return err
	}
	if length == "" {
		fmt.Fprintln(out, "Tests that take minutes each are left out: go tool task test:long runs them")
	}
	var notRun []string
	for _, g := range groups {
		if ctx.Err() != nil {
			break
		}
		began := time.Now()
		r := newReport(out)
		err := g.test(ctx, flags, env, r)
		if err != nil && r.total.failed == 0 {
			fmt.Fprintf(out, "FAIL %s: %v\n", g.name, err)
			r.total.failed++
		}
		fmt.Fprintf(out, "     %s: %.0f s, %s\n", g.name, time.Since(began).Seconds(), r.total)
		sum.add(r.total)
		notRun = append(notRun, r.notRun...)
	}
	if len(notRun) > 0 {
		fmt.Fprintf(out, "\nTests that did not run (%d):\n  %s\n", len(notRun), strings.Join(notRun, "\n  "))
	}
	return nil
}

// raceFlag returns -race where it can work: it needs a C compiler on most systems.
// Under CI=true one must be there.
func raceFlag(ctx context.Context, out io.Writer) ([]string, error) {
	cgo, err := output(ctx, "env", "CGO_ENABLED")
	if err != nil {
		return nil, err
	}
	cc, err := output(ctx, "env", "CC")
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
func output(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
