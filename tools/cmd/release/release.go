package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// release is one version of the programs, for several platforms.
type release struct {
	root      string // the repository's
	out       string // directory of the archives
	name      string // begins the archives' names
	version   string // as v1.2.3
	commit    string
	made      time.Time // of the commit; the files in the archives bear it
	platforms []string  // as linux/amd64
	programs  []string  // their folders, from the root, with slashes
	trimPath  bool      // leave this machine's paths out of the programs
	say       io.Writer // one line for each archive
}

// make writes an archive for each platform, and SHA256SUMS.
func (r *release) make(ctx context.Context) error {
	if err := r.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	stamped, err := r.packageOfTheStamp(ctx)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, platform := range r.platforms {
		archive, err := r.makeFor(ctx, platform, stamped)
		if err != nil {
			return fmt.Errorf("%s: %w", platform, err)
		}
		content, err := os.ReadFile(filepath.Join(r.out, archive))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), archive)
		fmt.Fprintf(r.say, "%s: %.1f MiB\n", filepath.Join(r.out, archive), float64(len(content))/(1<<20))
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}

// packageOfTheStamp returns the import path of the package whose variables say what a program was built from.
func (r *release) packageOfTheStamp(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-f", "{{.ImportPath}}", "./pkg/service")
	cmd.Dir = r.root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find the package that knows the version: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// makeFor builds the programs for one platform and returns the name of their archive.
func (r *release) makeFor(ctx context.Context, platform, stamped string) (archive string, err error) {
	bin, err := os.MkdirTemp("", "release")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(bin) }()
	system, arch, _ := strings.Cut(platform, "/")
	args := []string{
		"build", "-buildvcs=false", "-o", bin + string(filepath.Separator),
		fmt.Sprintf("-ldflags=-s -w -X %[1]s.version=%[2]s -X %[1]s.commit=%[3]s", stamped, r.version, r.commit),
	}
	if r.trimPath {
		args = append(args, "-trimpath")
	}
	for _, program := range r.programs {
		args = append(args, "./"+program)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "GOWORK="+filepath.Join(r.root, "go.work"), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	folder := strings.Join([]string{r.name, r.version, system, arch}, "_")
	archive = folder + ".tar.gz"
	return archive, r.pack(filepath.Join(r.out, archive), folder, bin)
}
