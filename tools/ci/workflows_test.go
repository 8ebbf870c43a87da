// Package ci has the tests of the workflows and of the search for vulnerabilities, with what both need: this module lies outside
// the workspace, so that nothing else depends on it. `task lint` runs it, and so does .ci/run.
package ci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"github.com/stretchr/testify/require"
)

const workflows = "../../.github/workflows"

// TestWorkflows reads the workflows as actionlint does: their syntax, their expressions, and the inputs of known actions.
func TestWorkflows(t *testing.T) {
	var out strings.Builder
	linter, err := actionlint.NewLinter(&out, &actionlint.LinterOptions{WorkingDir: "../.."})
	require.NoError(t, err)
	entries, err := os.ReadDir(workflows)
	require.NoError(t, err)
	var files []string
	for _, e := range entries {
		files = append(files, filepath.Join(workflows, e.Name()))
	}
	require.GreaterOrEqual(t, len(files), 2)

	found, err := linter.LintFiles(files, nil)
	require.NoError(t, err)
	require.Empty(t, found, "%s", &out)
}

// A fault is found: else the test above would prove nothing.
func TestAFaultInAWorkflow(t *testing.T) {
	var out strings.Builder
	linter, err := actionlint.NewLinter(&out, &actionlint.LinterOptions{})
	require.NoError(t, err)
	found, err := linter.Lint("w.yml", []byte("on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ github.evnt }}\n"), nil)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Contains(t, found[0].Message, "evnt")
}
