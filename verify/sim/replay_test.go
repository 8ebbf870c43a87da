//go:build !determined

package sim

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A history is the same whenever it is run again, whichever histories the process has run before and however busy the machine is.
func TestLongHistoriesReplay(t *testing.T) {
	long(t)
	const n = 24
	binary := determined(t, nil)
	traced := func(t *testing.T, k kind, from, to int) []string {
		t.Helper()
		out, err := exec.Command(binary, fmt.Sprintf("-test.run=^TestHistoriesHere$/^%s$", k.name), "-traces", "-test.timeout=5m",
			fmt.Sprintf("-from=%d", from), fmt.Sprintf("-histories=%d", to)).CombinedOutput()
		require.NoError(t, err, "%s", out)
		var traces []string
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "trace ") {
				traces = append(traces, line)
			}
		}
		return traces
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			inOneProcess := traced(t, k, 1, n)
			require.Len(t, inOneProcess, n)
			var eachAlone []string
			for seed := 1; seed <= n; seed++ {
				eachAlone = append(eachAlone, traced(t, k, seed, seed)...)
			}
			require.Equal(t, inOneProcess, eachAlone)
		})
	}
}
