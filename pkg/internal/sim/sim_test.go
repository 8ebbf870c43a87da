package sim

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
)

var (
	histories   = flag.Int("histories", 0, "so many histories of each kind, of the seeds from 1 on; 0: as many as a test run has time for")
	historySeed = flag.Uint64("history", 0, "only the history of this seed, told step by step")
	every       = flag.Int("every", 1, "of the histories only each n-th")
	from        = flag.Int("from", 1, "the first of them")
	traces      = flag.Bool("traces", false, "print what identifies each history")
)

// violated marks the output of a history that breaks a promise. The mutations are recognised by it.
const violated = "promise broken"

// kind is a kind of histories.
type kind struct {
	name  string
	begin func(*World) (run, end func())
	n     int      // in a test run
	seen  []string // what must have been seen in so many
}

var kinds = []kind{
	{"Group", newCouncil, 300, []string{"killed", "paused", "stalled", "cut", "broker stopped", "server down", "removed", "left"}},
	{"Fill", newFill, 600, []string{"acknowledged", "given up", "held", "stray", "killed", "paused", "stalled", "cut", "broker stopped"}},
	{"Flow", newFlow, 300, []string{"acknowledged", "given up", "committed", "commit stale", "commit repeated", "held", "stray", "killed", "paused", "stalled", "cut",
		"broker stopped", "server down", "went back"}},
}

// told is what came of a history.
type told struct {
	broken string
	trace  uint64
	count  map[string]int
}

// broken ends a history.
func broken(format string, args ...any) { panic(Broken(fmt.Sprintf(format, args...))) }

// history has one history, in a bubble of its own: run plays it, and end makes all its processes end.
func history(t *testing.T, seed uint64, begin func(*World) (run, end func())) (out told) {
	// The client keeps timers for others to use again, which must not pass from one bubble to the next: the second
	// collection takes what the first one has set aside.
	runtime.GC()
	runtime.GC()
	var lines []string // written when all is over: to write takes the machine's time
	defer func() {
		if *historySeed != 0 {
			t.Log("\n" + strings.Join(lines, "\n"))
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, seed)
		w := New(seed)
		if *historySeed != 0 {
			w.Tell = func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
		}
		run, end := begin(w)
		out.broken = attempt(run)
		out.trace, out.count, w.over = w.Trace(), w.Counts(), true
		if late := attempt(end); out.broken == "" {
			out.broken = late
		}
	})
	return out
}

func attempt(fn func()) (broken string) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case Broken:
			broken = string(p)
		default:
			panic(p)
		}
	}()
	fn()
	return ""
}

var _ = kind.play // by determined binaries

// play has histories of a kind in this process, and adds up what was seen in them.
func (k kind) play(t *testing.T, n int) map[string]int {
	total := make(map[string]int)
	first, last, step := uint64(*from), uint64(n), uint64(*every)
	if *historySeed != 0 {
		first, last, step = *historySeed, *historySeed, 1
	}
	for seed := first; seed <= last; seed += step {
		out := history(t, seed, k.begin)
		if *traces {
			fmt.Printf("trace %d %x\n", seed, out.trace)
		}
		if out.broken != "" {
			t.Fatalf("%s by history %d: %s\nhave it again: go test -run '^TestHistories$/^%s$' ./internal/sim -history=%d -v", violated, seed, out.broken, k.name, seed)
		}
		for what, n := range out.count {
			total[what] += n
		}
	}
	return total
}
