package sim

import (
	"flag"
	"fmt"
	"testing"
	"testing/cryptotest"
	"testing/synctest"

	"runtime"
)

var (
	histories   = flag.Int("histories", 0, "so many histories of each kind, of the seeds from 1 on; 0: as many as a test run has time for")
	historySeed = flag.Uint64("history", 0, "only the history of this seed, told step by step")
)

// violated marks the output of a history that breaks a promise. The mutations are recognised by it.
const violated = "promise broken"

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
	synctest.Test(t, func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, seed)
		w := New(seed)
		if *historySeed != 0 {
			w.Tell = t.Logf
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

// all has the histories of a kind, and returns what was seen in them.
func all(t *testing.T, n int, begin func(*World) (run, end func())) map[string]int {
	t.Helper()
	if *historySeed != 0 {
		if out := history(t, *historySeed, begin); out.broken != "" {
			t.Fatalf("%s by history %d: %s", violated, *historySeed, out.broken)
		}
		t.SkipNow()
	}
	if *histories > 0 {
		n = *histories
	}
	total := make(map[string]int)
	for seed := uint64(1); seed <= uint64(n); seed++ {
		out := history(t, seed, begin)
		if out.broken != "" {
			t.Fatalf("%s by history %d: %s\nhave it again: go test -run '^%s$' ./internal/sim -history=%d -v", violated, seed, out.broken, t.Name(), seed)
		}
		for what, n := range out.count {
			total[what] += n
		}
	}
	t.Logf("%d histories: %v", n, total)
	return total
}
