package testkit

import (
	"os/exec"
	"reflect"
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

// ModulePath returns what the paths of this repository's modules begin with: a fork has another.
func ModulePath() string {
	type here struct{}
	return strings.TrimSuffix(reflect.TypeFor[here]().PkgPath(), "/pkg/testkit")
}
