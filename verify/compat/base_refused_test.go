package compat

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A commit that is not there is told apart: an archive, a shallow clone and a fork with a history of its own have nothing to build, and
// the test says so; a wrong name is a failure.
func TestCommitThatIsNotHere(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("did not run: there is no git")
	}
	source := t.TempDir()
	run := func(dir string, args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=test", "-c", "user.email=test@localhost"}, args...)...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	run(source, "init", "-q")
	run(source, "commit", "-q", "--allow-empty", "-m", "first")
	first, err := git(source, "rev-parse", "HEAD")
	require.NoError(t, err)
	run(source, "commit", "-q", "--allow-empty", "-m", "second")
	require.Zero(t, without(source, first))

	shallow := filepath.Join(t.TempDir(), "shallow")
	run(source, "clone", "-q", "--depth=1", "file://"+source, shallow)
	require.Contains(t, without(shallow, first).text, "git fetch --unshallow")
	require.True(t, without(shallow, first).skip)

	archive := filepath.Join(source, "unpacked") // inside another repository
	require.NoError(t, os.Mkdir(archive, 0o700))
	require.True(t, without(archive, first).skip)
	require.True(t, without(t.TempDir(), first).skip)

	unknown := "0123456789012345678901234567890123456789"
	require.Contains(t, without(source, unknown).text, "put into that file")
	require.False(t, without(source, unknown).skip)
	require.NoError(t, os.WriteFile(filepath.Join(source, recordFile), nil, 0o600))
	require.True(t, without(source, unknown).skip)
}
