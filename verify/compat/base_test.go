package compat

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
)

// baseFile names the commit whose programs run beside today's.
const baseFile = "docs/compat-base"

// recordFile is what `task fork` leaves.
const recordFile = ".template.json"

// commit returns the commit that docs/compat-base names. Without git's history there is nothing to build: an unpacked archive
// has none, and that of a fork may begin later. A clone that only lacks it is a failure.
func commit(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(programs.InRoot(t, baseFile))
	require.NoError(t, err)
	hash := strings.TrimSpace(string(text))
	require.Regexp(t, regexp.MustCompile(`^[0-9a-f]{40}$`), hash, "%s must be the full hash of a commit, and no more", baseFile)
	if why := without(programs.InRoot(t, "."), hash); why.skip {
		t.Skip("did not run: " + why.text)
	} else if why.text != "" {
		t.Fatal(why.text)
	}
	return hash
}

// lack is why a commit cannot be built here. Its zero value: it can.
type lack struct {
	text string
	skip bool // it is no fault of this repository
}

// without tells why a commit cannot be built from the repository around a directory.
func without(root, hash string) lack {
	if top, err := git(root, "rev-parse", "--show-toplevel"); err != nil || !same(top, root) {
		return lack{"this is no clone of a git repository, so " + baseFile + " cannot be built", true}
	}
	if _, err := git(root, "cat-file", "-e", hash+"^{commit}"); err == nil {
		return lack{}
	}
	if shallow, _ := git(root, "rev-parse", "--is-shallow-repository"); shallow == "true" {
		return lack{"this clone is shallow and lacks commit " + hash + " of " + baseFile + ": get its history (git fetch --unshallow; in CI, fetch-depth: 0)", true}
	}
	text := "the history here lacks commit " + hash + " of " + baseFile + ": put into that file the full hash of the oldest commit whose programs yours must run beside"
	_, err := os.Stat(filepath.Join(root, recordFile))
	return lack{text, err == nil}
}

// same tells whether two paths lead to one directory.
func same(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

func git(dir string, args ...string) (out string, err error) {
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	text, err := cmd.Output()
	return strings.TrimSpace(string(text)), err
}

// checkOut returns a worktree of a commit, which is removed when the test ends.
func checkOut(t *testing.T, hash string) (tree string) {
	t.Helper()
	root := programs.InRoot(t, ".")
	tree = filepath.Join(t.TempDir(), "compat-base")
	out, err := exec.Command("git", "-C", root, "worktree", "add", "--detach", tree, hash).CombinedOutput()
	require.NoError(t, err, "check out commit %s: %s", hash, out)
	t.Cleanup(func() {
		out, err := exec.Command("git", "-C", root, "worktree", "remove", "--force", tree).CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
	return tree
}

// buildBase builds the services of a worktree, and returns where they are. Paths are trimmed, so that Go's build cache knows
// the packages again wherever the worktree lies.
func buildBase(t *testing.T, tree string) (bin string) {
	t.Helper()
	bin = t.TempDir()
	args := []string{"build", "-C", tree, "-trimpath", "-ldflags=-s -w", "-o", bin + "/"}
	for _, s := range ours(t) {
		args = append(args, "./"+s.Dir())
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOWORK="+filepath.Join(tree, "go.work"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "build the services of %s: %s", baseFile, out)
	return bin
}
