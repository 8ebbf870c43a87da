//go:build !determined

package sim

import (
	"os/exec"
	"testing"

	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/verify/sim/mutations"
	"github.com/stretchr/testify/require"
)

// Every rule matters: without it some history of the mutation's kind breaks a promise.
func TestLongMutationsAreFound(t *testing.T) {
	long(t)
	for _, m := range mutations.All {
		if m.Simulation == "" {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			limits := []string{"-histories=10000", "-test.timeout=100s"}
			if m.Rare {
				testkit.Full(t)
				limits = []string{"-histories=100000", "-test.timeout=400s"}
			}
			mutations.Find(t, determined(t, m.Edits), violated, append(limits, "-test.run=^TestHistoriesHere$/^"+m.Simulation+"$")...)
		})
	}
}

// Safety rests on the store's versions alone: an owner that does not hear of its lost lease breaks histories of the group, and
// none of events.
func TestLongStatesAreRightThoughLeasesAreNot(t *testing.T) {
	long(t)
	t.Parallel()
	binary := determined(t, mutations.DeafOwner.Edits)
	out, err := exec.Command(binary, "-test.run=^TestHistoriesHere$/^Flow$", "-histories=1000", "-test.timeout=100s").CombinedOutput()
	require.NoError(t, err, "%s", out)
}
