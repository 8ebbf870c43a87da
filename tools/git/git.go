// Package git runs git for the tools that change this repository.
package git

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// Run runs a git command in dir and returns what it prints, without space around it at the end. Errors have the last line
// that it says.
func Run(dir string, args ...string) (string, error) { return RunWith(dir, nil, "", args...) }

// RunWith is Run with an input, and variables beside those of the process's environment.
func RunWith(dir string, env []string, input string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(input)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		says := strings.TrimSpace(stderr.String())
		says = says[strings.LastIndex(says, "\n")+1:]
		return strings.TrimRight(string(out), " \n"), fmt.Errorf("git %s: %w: %s", command(args), err, says)
	}
	return strings.TrimRight(string(out), " \n"), nil
}

// command returns git's command among its arguments, which pairs of -c and a setting may precede.
func command(args []string) string {
	for len(args) > 2 && args[0] == "-c" {
		args = args[2:]
	}
	return args[0]
}

// Lines runs a git command that prints names, each with a zero byte behind it (-z).
func Lines(dir string, args ...string) ([]string, error) {
	out, err := Run(dir, args...)
	return strings.FieldsFunc(out, func(r rune) bool { return r == 0 }), err
}

// Clean returns an error, with what to do, unless all of dir is committed to a git repository.
func Clean(dir string) error {
	changes, err := Run(dir, "status", "--porcelain", "--untracked-files=all", "--", ".")
	if err != nil || changes == "" {
		return err
	}
	lines := strings.Split(changes, "\n")
	return fmt.Errorf("%d files have changes that are not committed, the first is %s; commit them, or put them aside with: git stash --include-untracked",
		len(lines), strings.TrimSpace(lines[0][2:]))
}

var versionPattern = regexp.MustCompile(`^git version (\d+)\.(\d+)`)

// AtLeast returns an error unless git is there, in that version or a newer one.
func AtLeast(major, minor int) error {
	if _, err := exec.LookPath("git"); err != nil {
		return fmt.Errorf("git was not found: install %d.%d or newer", major, minor)
	}
	says, err := Run(".", "--version")
	if err != nil {
		return err
	}
	return newer(says, major, minor)
}

func newer(says string, major, minor int) error {
	m := versionPattern.FindStringSubmatch(says)
	if m == nil {
		return fmt.Errorf("git tells no version: %q", says)
	}
	x, errX := strconv.Atoi(m[1])
	y, errY := strconv.Atoi(m[2])
	if err := errors.Join(errX, errY); err != nil {
		return err
	}
	if x < major || x == major && y < minor {
		return fmt.Errorf("git is %d.%d: install %d.%d or newer", x, y, major, minor)
	}
	return nil
}
