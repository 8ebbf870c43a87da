package sim

import (
	"flag"
	"fmt"
)

var (
	histories   = flag.Int("histories", 0, "number of histories of each kind, from seed 1 on; 0: by the length of the test")
	historySeed = flag.Uint64("history", 0, "run only the history of this seed, and print its steps")
)

// violated marks the output of a history that breaks a promise. The mutations are recognised by it.
const violated = "promise broken"

// kind is a kind of histories.
type kind struct {
	name  string
	begin func(*World) (run, end func())
	n     int      // for each unit of length
	seen  []string // events that must be noted in so many
}

var kinds = []kind{
	{"Group", newCouncil, 2000, []string{"killed", "paused", "stalled", "cut", "broker stopped", "server down", "removed", "left"}},
	{"Fill", newFill, 4000, []string{"acknowledged", "given up", "held", "stray", "killed", "paused", "stalled", "cut", "broker stopped"}},
	{"Flow", newFlow, 2500, []string{"acknowledged", "given up", "committed", "commit stale", "commit repeated", "held", "stray",
		"killed", "paused", "stalled", "cut", "broker stopped", "server down", "went back", "torn", "emptied", "state deleted"}},
	{"Aside", newAside, 1000, []string{"acknowledged", "committed", "commit stale", "held", "killed", "went back", "torn", "state deleted", "dropped",
		"asked to retry", "asked to drop"}},
}

// broken ends a history.
func broken(format string, args ...any) { panic(Broken(fmt.Sprintf(format, args...))) }
