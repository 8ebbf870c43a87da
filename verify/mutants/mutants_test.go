package mutants

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/verify/sim/mutations"
)

// TestLongMutants requires that each mutation of the whole programs is found by the demo and, in the full form, by chaos of
// two seeds.
func TestLongMutants(t *testing.T) {
	length := testkit.Long(t)
	needs(t)
	bin := buildAll(t)
	for _, m := range mutations.All {
		if !m.Programs {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			mutated := build(t, bin, m)
			t.Run("demo", func(t *testing.T) { demoFinds(t, mutated) })
			for seed := 1; seed <= min(length/5, 2); seed++ {
				t.Run(fmt.Sprintf("chaos %d", seed), func(t *testing.T) { chaosFinds(t, mutated, seed) })
			}
		})
	}
}

func demoFinds(t *testing.T, bin string) {
	t.Helper()
	code, said := run(t, bin, "local", "demo")
	require.Equal(t, 1, code, said)
	require.Contains(t, said, "\nverdict: fail\n")
	t.Log(said)
}

func chaosFinds(t *testing.T, bin string, seed int) {
	t.Helper()
	code, said := run(t, bin, "chaos", fmt.Sprintf("--seed=%d", seed))
	require.Equal(t, 98, code, said)
	require.Contains(t, said, "verdict: fail\n")
	t.Log(said)
}
