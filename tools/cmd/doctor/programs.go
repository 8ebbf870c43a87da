package main

import (
	"context"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
)

// versionOf matches the first version in what a program says of itself, as 7.0 or 7.0.15.
var versionOf = regexp.MustCompile(`\d+\.\d+(\.\d+)*`)

// says returns the standard output of a program, in the repository's root, without the final newline.
func says(ctx context.Context, m machine, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = m.root
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func checkGo(ctx context.Context, m machine) []finding {
	f := finding{subject: "Go", level: missing}
	want, err := goOfWorkspace(m.root)
	if err != nil {
		f.found = err.Error()
		return []finding{f}
	}
	f.advice = fmt.Sprintf("install Go %s or newer (https://go.dev/dl), or let an older one fetch it: go env -w GOTOOLCHAIN=auto", want)
	is, err := says(ctx, m, "go", "env", "GOVERSION")
	switch {
	case err != nil:
		f.found = "go env GOVERSION: " + err.Error()
	case version.IsValid(is) && version.Compare(is, "go"+want) < 0:
		f.found = fmt.Sprintf("%s, go.work wants %s", is, want)
	default: // a development version of Go has another form
		return []finding{{subject: f.subject, level: fine, found: fmt.Sprintf("%s (go.work wants %s)", is, want)}}
	}
	return []finding{f}
}

// goOfWorkspace returns the Go version that go.work names.
func goOfWorkspace(root string) (string, error) {
	file := filepath.Join(root, "go.work")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	work, err := modfile.ParseWork(file, text, nil)
	if err != nil {
		return "", err
	}
	if work.Go == nil {
		return "", fmt.Errorf("%s names no Go version", file)
	}
	return work.Go.Version, nil
}

// checkCompiler looks for the C compiler that the race detector needs.
func checkCompiler(ctx context.Context, m machine) []finding {
	f := finding{
		subject: "C compiler", level: note,
		advice: "the tests run without the race detector: install gcc or clang (Debian: apt-get install gcc libc6-dev; macOS: xcode-select --install)",
	}
	if m.ci {
		f.level = missing
		f.advice = strings.Replace(f.advice, "the tests run without the race detector", "under CI=true the tests need the race detector", 1)
	}
	settings, err := says(ctx, m, "go", "env", "CGO_ENABLED", "CC")
	enabled, compiler, _ := strings.Cut(settings, "\n")
	compiler, _, _ = strings.Cut(compiler, " ")
	if err == nil && compiler == "" {
		compiler = "cc"
	}
	path, lookErr := exec.LookPath(compiler)
	switch {
	case err != nil:
		f.found = "go env CC: " + err.Error()
	case lookErr != nil:
		f.found = fmt.Sprintf("CC=%s is not on PATH", compiler)
	case enabled != "1":
		f.found, f.advice = fmt.Sprintf("%s, but CGO_ENABLED=%s", path, enabled), "the race detector needs CGO_ENABLED=1: go env -u CGO_ENABLED"
	default:
		return []finding{{subject: f.subject, level: fine, found: path}}
	}
	return []finding{f}
}

// oldestRedis is the oldest redis-server that the store works with.
var oldestRedis = []int{6, 2}

func checkRedis(ctx context.Context, m machine) []finding {
	const install = "install it (Debian: apt-get install redis-server; macOS: brew install redis)"
	f := finding{subject: "redis-server", level: note}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		f.found = "not on PATH"
		f.advice = "a stack uses a stand-in that keeps nothing, and chaos, bench and many tests need a real one: " + install
		if m.ci {
			f.level = missing
		}
		return []finding{f}
	}
	text, err := says(ctx, m, path, "--version")
	is := versionOf.FindString(text)
	switch {
	case err != nil:
		f.level, f.found = missing, fmt.Sprintf("%s --version: %v", path, err)
		f.advice = "mend it, or run stacks without it: go tool task up REDIS=embedded"
	case is == "":
		f.found, f.advice = fmt.Sprintf("%s does not tell its version: %s", path, text), "see that it is 6.2 or newer"
	case older(is, oldestRedis):
		f.level, f.found = missing, fmt.Sprintf("%s is %s, and stacks, which take it from PATH, need 6.2", path, is)
		f.advice = "install a newer one, or run stacks without it: go tool task up REDIS=embedded"
	default:
		f.level, f.found = fine, is+" at "+path
	}
	return []finding{f}
}

func checkDocker(ctx context.Context, m machine) []finding {
	f := finding{subject: "Docker", level: note, advice: "only the devcontainer (.devcontainer) needs it: install Docker, or start its daemon"}
	if _, err := exec.LookPath("docker"); err != nil {
		f.found = "not on PATH"
		return []finding{f}
	}
	is, err := says(ctx, m, "docker", "version", "--format", "{{.Server.Version}}")
	if err != nil || is == "" {
		f.found = "its daemon does not answer"
		return []finding{f}
	}
	return []finding{{subject: f.subject, level: fine, found: is}}
}

// checkOthers looks for programs of single tasks.
func checkOthers(ctx context.Context, m machine) (findings []finding) {
	for _, p := range []struct {
		name    string
		ask     string // the argument that makes it tell its version
		atLeast []int
		use     string
	}{
		{"git", "--version", []int{2, 34}, "go tool task fork and update-template"},
		{"python3", "--version", []int{3, 0}, "go tool task model"},
	} {
		f := finding{subject: p.name, level: note, advice: fmt.Sprintf("%s: install %s %d.%d or newer", p.use, p.name, p.atLeast[0], p.atLeast[1])}
		text, err := says(ctx, m, p.name, p.ask)
		switch is := versionOf.FindString(text); {
		case err != nil || is == "":
			f.found = "not on PATH, or it does not run"
		case older(is, p.atLeast):
			f.found = is
		default:
			f.level, f.found, f.advice = fine, is, ""
		}
		findings = append(findings, f)
	}
	return findings
}

// older tells whether a version, numbers with dots between, is older than another, its leading numbers.
func older(is string, than []int) bool {
	for i, part := range strings.Split(is, ".") {
		if n, err := strconv.Atoi(part); i >= len(than) || err != nil || n != than[i] {
			return i < len(than) && n < than[i]
		}
	}
	return false
}
