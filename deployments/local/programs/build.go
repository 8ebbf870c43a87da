// Package programs builds and runs the programs of this repository for tests, as they are or with a fault on purpose.
package programs

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/lockstep/pkg/servicefile"
	"github.com/stretchr/testify/require"
)

// services returns the folders of the repository's services.
func services(t *testing.T) (dirs []string) {
	t.Helper()
	list, err := servicefile.Read(InRoot(t, servicefile.Path))
	require.NoError(t, err)
	for _, s := range list {
		dirs = append(dirs, s.Dir())
	}
	return dirs
}

// Build builds local and the services, without the race detector, and returns where they are.
func Build(t *testing.T) (bin string) {
	t.Helper()
	bin = t.TempDir()
	BuildInto(t, bin)
	return bin
}

// BuildInto does as Build into a directory.
func BuildInto(t *testing.T, bin string) {
	t.Helper()
	build(t, bin, nil, append(services(t), "deployments/local")...)
}

// BuildServices builds the services and returns where they are.
func BuildServices(t *testing.T, flags ...string) (bin string) {
	t.Helper()
	bin = t.TempDir()
	build(t, bin, flags, services(t)...)
	return bin
}

// BuildModule builds the program of one module into a directory.
func BuildModule(t *testing.T, module, into string, flags ...string) {
	t.Helper()
	build(t, into, flags, module)
}

func build(t *testing.T, into string, flags []string, modules ...string) {
	t.Helper()
	args := append([]string{"build", "-C", InRoot(t, "."), "-ldflags=-s -w", "-o", into + "/"}, flags...)
	for _, module := range modules {
		args = append(args, "./"+module)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOWORK="+InRoot(t, "go.work")) // a test of a module outside the workspace runs without one
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "build %s: %s", modules, out)
}

// InRoot returns the absolute path of something in the repository, whose root has the file go.work.
func InRoot(t *testing.T, path string) string {
	t.Helper()
	root, err := filepath.Abs(".")
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(root, "go.work")); err == nil {
			return filepath.Join(root, path)
		}
		require.NotEqual(t, filepath.Dir(root), root, "no directory above this test has a go.work")
		root = filepath.Dir(root)
	}
}

// Overlay maps absolute paths of source files to the text that a build uses instead.
type Overlay map[string]string

// Edit replaces texts in a file. Each must be in it exactly once: if the source changes, the fault must be adapted.
func (o Overlay) Edit(t *testing.T, file string, edits map[string]string) {
	t.Helper()
	source, err := os.ReadFile(file)
	require.NoError(t, err)
	text := string(source)
	for old, new := range edits {
		require.Equal(t, 1, strings.Count(text, old), "%q in %s: the source has changed, adapt the fault", old, file)
		text = strings.Replace(text, old, new, 1)
	}
	o[file] = text
}

// Flag writes the overlay and returns go build's flag for it.
func (o Overlay) Flag(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	replace := make(map[string]string, len(o))
	for file, text := range o {
		replace[file] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		require.NoError(t, os.WriteFile(replace[file], []byte(text), 0o600))
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	path := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return "-overlay=" + path
}
