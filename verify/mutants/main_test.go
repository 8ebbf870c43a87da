// Package mutants holds `demo` and `chaos`, with their default settings, against workers that lack a rule of the protocol.
// A fault run that such a worker passes proves nothing about that rule.
package mutants

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/verify/sim/mutations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// build returns a directory with the mutated worker, beside the other programs as they are in bin.
func build(t *testing.T, bin string, m mutations.Mutation) (mutated string) {
	t.Helper()
	mutated = t.TempDir()
	for _, program := range []string{"local", "producer", "router", "chaos"} {
		require.NoError(t, os.Symlink(filepath.Join(bin, program), filepath.Join(mutated, program)))
	}
	programs.BuildModule(t, "services/worker", mutated, mutations.Overlay(t, m.Edits))
	return mutated
}

// buildAll builds the programs as they are, chaos among them.
func buildAll(t *testing.T) (bin string) {
	t.Helper()
	bin = programs.Build(t)
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", "../chaos").CombinedOutput()
	require.NoError(t, err, "build chaos: %s", out)
	return bin
}

// run runs a program of those in bin with its default settings, and returns its exit code and its output.
func run(t *testing.T, bin, program string, args ...string) (code int, said string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, program), append(args, "--bin="+bin)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // the logs of a run that fails are kept there
	out, _ := cmd.CombinedOutput()
	require.NotNil(t, cmd.ProcessState, "%s cannot be run", program)
	return cmd.ProcessState.ExitCode(), string(out)
}

func needs(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("did not run: there is no redis-server on PATH to wipe")
	}
}
