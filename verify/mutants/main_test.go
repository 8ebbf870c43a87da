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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mutant is a worker without a rule.
type mutant struct {
	name  string
	edits map[string]map[string]string // by file below pkg: texts, and what stands there instead
}

var (
	noDeduplication = mutant{"no deduplication", map[string]map[string]string{
		"dedup/dedup.go": {"if seq < p.floor {\n\t\treturn false\n\t}": "if true {\n\t\treturn true\n\t}"},
	}}
	staleCommits = mutant{"no stale check at commit", map[string]map[string]string{
		"store/redis/commit.lua": {"if version ~= ARGV[1] then": "if false then"},
	}}
	keptCache = mutant{"cache kept", map[string]map[string]string{
		"consume/shard.go": {"cache: newCache(b)": "cache: oldCache(n, b)"},
		"consume/cache.go": {
			`import "sync/atomic"`: `import ("sync"; "sync/atomic")`,
			"func newCache(": `
var old sync.Map // by shard

func oldCache(n int, b *budget) *cache {
	kept, _ := old.LoadOrStore(n, newCache(b))
	c := kept.(*cache)
	for _, e := range c.dirty {
		e.changed = false
	}
	c.dirty = c.dirty[:0]
	return c
}

func newCache(`,
			"for c.lru.prev != &c.lru {": "for false {",
		},
	}}
)

// Without the check at load a stale owner reads states that it must not have, and its commit is refused. They do harm only if
// the store then goes back to just the version that this owner knows, between its load and its commit: no run of processes
// brings that about, and pkg/consume.TestMutationsAreFound does.

// build returns a directory with the mutated worker, beside the other programs as they are in bin.
func (m mutant) build(t *testing.T, bin string) (mutated string) {
	t.Helper()
	mutated = t.TempDir()
	for _, program := range []string{"local", "producer", "router"} {
		require.NoError(t, os.Symlink(filepath.Join(bin, program), filepath.Join(mutated, program)))
	}
	overlay := programs.Overlay{}
	for file, edits := range m.edits {
		overlay.Edit(t, programs.InRoot(t, filepath.Join("pkg", file)), edits)
	}
	programs.BuildModule(t, "services/worker", mutated, overlay.Flag(t))
	return mutated
}

// run runs a command of local with its default settings, and returns its exit code and what it says.
func run(t *testing.T, bin string, args ...string) (code int, said string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "local"), append(args, "--bin="+bin)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // the logs of a run that fails are kept there
	out, _ := cmd.CombinedOutput()
	require.NotNil(t, cmd.ProcessState, "local cannot be run")
	return cmd.ProcessState.ExitCode(), string(out)
}

func needs(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("did not run: -short, and it builds every program")
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("did not run: there is no redis-server on PATH to wipe")
	}
}
