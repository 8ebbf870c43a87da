// Command release builds the programs of this repository for several platforms, stamped with a version and a commit, and packs those
// of each platform into an archive, with the licence. SHA256SUMS has the archives' checksums.
//
//	release --version=v1.2.3 [--commit=COMMIT] [--out=dist] PLATFORM...
//
// A platform is a GOOS/GOARCH. Without --commit it is git's HEAD, and files that differ from it are an error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/mod/semver"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/servicefile"
	"example.com/lockstep/tools/modules"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	r := release{root: ".", name: appname.Default, trimPath: true, say: out}
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&r.version, "version", "", "the release's version, as v1.2.3")
	flags.StringVar(&r.commit, "commit", "", "the commit that it is built from; default: git's HEAD")
	flags.StringVar(&r.out, "out", "dist", "where to put the archives; it must not have any files")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r.platforms = flags.Args()
	var err error
	if r.root, err = modules.Root("."); err != nil {
		return err
	}
	if r.commit == "" {
		if r.commit, r.made, err = head(ctx, r.root); err != nil {
			return err
		}
	}
	services, err := servicefile.Read(r.root + "/" + servicefile.Path)
	if err != nil {
		return err
	}
	for _, s := range services {
		r.programs = append(r.programs, s.Dir())
	}
	r.programs = append(r.programs, "deployments/local")
	return r.make(ctx)
}

// check returns an error for a release that cannot be.
func (r *release) check() error {
	if !semver.IsValid(r.version) || semver.Canonical(r.version)+semver.Build(r.version) != r.version {
		return fmt.Errorf("--version=%s: want a version as v1.2.3 or v1.2.3-rc.1", r.version)
	}
	if len(r.platforms) == 0 {
		return errors.New("no platform is given: name them after the flags, as linux/amd64")
	}
	for _, p := range r.platforms {
		if system, arch, ok := strings.Cut(p, "/"); !ok || system == "" || arch == "" {
			return fmt.Errorf("platform %s: want GOOS/GOARCH, as linux/amd64", p)
		}
	}
	entries, err := os.ReadDir(r.out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s has files already: remove them first", r.out)
	}
	return nil
}

// head returns git's HEAD and its time. Files that differ from it are an error.
func head(ctx context.Context, root string) (commit string, made time.Time, err error) {
	changed, err := git(ctx, root, "status", "--porcelain")
	if err != nil {
		return "", made, err
	}
	if changed != "" {
		return "", made, fmt.Errorf("files differ from HEAD, so no commit tells what is built; commit them, or name a --commit:\n%s", changed)
	}
	shown, err := git(ctx, root, "show", "--no-patch", "--format=%H %ct", "HEAD")
	if err != nil {
		return "", made, err
	}
	commit, seconds, _ := strings.Cut(shown, " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return "", made, fmt.Errorf("read the time of the commit: %w", err)
	}
	return commit, time.Unix(unix, 0).UTC(), nil
}

// git returns what a git command prints, without the final newline.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}
