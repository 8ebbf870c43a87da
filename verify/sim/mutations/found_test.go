package mutations

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/testkit"
)

// Each mutation is named once, its edits too, and some test is to find it.
func TestList(t *testing.T) {
	names, edits := make(map[string]bool), make(map[string]string)
	for _, m := range All {
		require.False(t, names[m.Name], "%q is listed twice", m.Name)
		names[m.Name] = true
		require.True(t, m.Decisions || m.Simulation != "" || m.Test.Package != "" || m.Programs, "nothing is to find %q", m.Name)
		var text strings.Builder
		for _, e := range m.Edits {
			text.WriteString(e.File + "\x00" + e.Old + "\x00" + e.New + "\x00")
		}
		require.Empty(t, edits[text.String()], "%q edits the same as another one", m.Name)
		edits[text.String()] = m.Name
		Overlay(t, m.Edits)
	}
}

// Without a rule of the protocol the histories of the decisions fail, or a kept test. verify/sim has the mutations that the
// simulation must find, and verify/mutants those of whole programs.
func TestLongMutationsAreFound(t *testing.T) {
	testkit.Long(t)
	for _, m := range All {
		if m.Decisions {
			t.Run("decisions/"+m.Name, func(t *testing.T) {
				t.Parallel()
				binary := Build(t, "pkg/consume", m.Edits, func(file string) bool { return strings.HasPrefix(file, "history_") })
				Find(t, binary, "promise broken", "-test.run=^TestHistories$", "-histories=20000")
			})
		}
		if m.Test.Package != "" {
			t.Run("test/"+m.Name, func(t *testing.T) {
				t.Parallel()
				Find(t, Build(t, "pkg/"+m.Test.Package, m.Edits, nil), m.Test.Says, "-test.run="+m.Test.Run)
			})
		}
	}
}
