package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/tools/modules"
)

// A program of a release tells the version and the commit, and an archive made a second time is the same.
func TestRelease(t *testing.T) {
	first, second := made(t), made(t)
	folder := "shop_v1.2.3-rc.1_" + runtime.GOOS + "_" + runtime.GOARCH
	archive, err := os.ReadFile(filepath.Join(first, folder+".tar.gz"))
	require.NoError(t, err)
	again, err := os.ReadFile(filepath.Join(second, folder+".tar.gz"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(archive, again))
	sums, err := os.ReadFile(filepath.Join(first, "SHA256SUMS"))
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%x  %s.tar.gz\n", sha256.Sum256(archive), folder), string(sums))

	files := unpacked(t, archive)
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		require.NotEmpty(t, files[folder+"/"+name], name)
	}
	program := filepath.Join(t.TempDir(), "router")
	require.NoError(t, os.WriteFile(program, files[folder+"/router"], 0o700))
	out, err := exec.Command(program, "--version").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Regexp(t, `^router v1\.2\.3-rc\.1 \(commit 0a1b2c, go`, string(out))
}

// made makes a release of the router for this platform and returns the directory.
func made(t *testing.T) string {
	t.Helper()
	root, err := modules.Root(".")
	require.NoError(t, err)
	r := release{
		root: root, out: filepath.Join(t.TempDir(), "dist"), name: "shop", version: "v1.2.3-rc.1", commit: "0a1b2c", made: time.Unix(1, 0),
		platforms: []string{runtime.GOOS + "/" + runtime.GOARCH}, programs: []string{"services/router"}, say: io.Discard,
	}
	require.NoError(t, r.make(t.Context()))
	return r.out
}

func unpacked(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(archive))
	require.NoError(t, err)
	files := make(map[string][]byte)
	for r := tar.NewReader(zipped); ; {
		header, err := r.Next()
		if err == io.EOF {
			return files
		}
		require.NoError(t, err)
		files[header.Name], err = io.ReadAll(r)
		require.NoError(t, err)
	}
}

func TestReleaseThatCannotBe(t *testing.T) {
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "old.tar.gz"), nil, 0o600))
	for want, r := range map[string]release{
		"--version=1.2.3":       {version: "1.2.3", platforms: []string{"linux/amd64"}},
		"--version=v1.2":        {version: "v1.2", platforms: []string{"linux/amd64"}},
		"no platform is given":  {version: "v1.2.3"},
		"platform linux: want":  {version: "v1.2.3", platforms: []string{"linux"}},
		"has files already":     {version: "v1.2.3", platforms: []string{"linux/amd64"}, out: full},
		"v1.2.3 or v1.2.3-rc.1": {platforms: []string{"linux/amd64"}},
	} {
		require.ErrorContains(t, r.make(t.Context()), want)
	}
}

// Without a commit it is git's, which must say what is built.
func TestCommit(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"init", "-q"}, {"-c", "user.name=A", "-c", "user.email=a@example.net", "commit", "-q", "--allow-empty", "-m", "first"},
	} {
		_, err := git(t.Context(), dir, args...)
		require.NoError(t, err)
	}
	commit, when, err := head(t.Context(), dir)
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{40,}$`, commit)
	require.WithinDuration(t, time.Now(), when, time.Hour)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o600))
	_, _, err = head(t.Context(), dir)
	require.ErrorContains(t, err, "files differ from HEAD")
	_, _, err = head(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "git status")
}
