package testkit

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Deps lists the import paths of all packages that the package in a directory links, without those of its tests.
func Deps(t testing.TB, dir string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
	cmd.Dir = dir
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}
