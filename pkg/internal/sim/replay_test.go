package sim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// replays tells where a history, had again, was another one.
func replays(t *testing.T, begin func(*World) (run, end func())) {
	t.Helper()
	if *historySeed != 0 {
		t.Skip("for one history only")
	}
	recorded := func(seed uint64) (lines []string) {
		history(t, seed, func(w *World) (func(), func()) {
			run, end := begin(w)
			w.Tell = func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
			return func() {
				defer func() { w.Tell = nil }()
				run()
			}, end
		})
		return lines
	}
	for seed := uint64(1); seed <= 10; seed++ {
		times := 1
		if seed <= 2 {
			times = 10
		}
		first := recorded(seed)
		for range times {
			again := recorded(seed)
			for i := range min(len(first), len(again)) {
				if first[i] != again[i] {
					lo := max(0, i-10)
					t.Fatalf("history %d was another one after %d steps:\n%s\nand then\n%s", seed, i, strings.Join(first[lo:min(i+15, len(first))], "\n"), strings.Join(again[i:min(i+15, len(again))], "\n"))
				}
			}
			require.Len(t, again, len(first))
		}
	}
}

func TestGroupHistoriesReplay(t *testing.T) { replays(t, newCouncil) }
