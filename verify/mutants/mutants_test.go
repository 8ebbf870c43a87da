package mutants

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/testkit"
)

// TestDemoFindsAMutant is the quickest of all pairs; TestLongMutants has the others.
func TestDemoFindsAMutant(t *testing.T) {
	needs(t)
	demoFinds(t, staleCommits.build(t, programs.Build(t)))
}

// TestLongMutants requires that each mutant is found by the demo as well as by chaos, of some seeds.
func TestLongMutants(t *testing.T) {
	testkit.Long(t)
	needs(t)
	bin := programs.Build(t)
	for _, m := range []mutant{noDeduplication, staleCommits, keptCache} {
		t.Run(m.name, func(t *testing.T) {
			mutated := m.build(t, bin)
			t.Run("demo", func(t *testing.T) { demoFinds(t, mutated) })
			for _, seed := range []string{"1", "2"} {
				t.Run("chaos "+seed, func(t *testing.T) { chaosFinds(t, mutated, seed) })
			}
		})
	}
}

func demoFinds(t *testing.T, bin string) {
	t.Helper()
	code, said := run(t, bin, "demo")
	require.Equal(t, 1, code, said)
	require.Contains(t, said, "\nverdict: fail\n")
	t.Log(said)
}

func chaosFinds(t *testing.T, bin, seed string) {
	t.Helper()
	code, said := run(t, bin, "chaos", "--seed="+seed)
	require.Equal(t, 98, code, said)
	require.Contains(t, said, "verdict: fail\n")
	t.Log(said)
}
