//go:build determined

package sim

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	_ "unsafe" // for linkname

	"github.com/stretchr/testify/require"
)

// The runtime is one that leaves nothing to chance, as long as there is one processor and no collector.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(-1) // memory is collected between histories
	os.Exit(m.Run())
}

var (
	every  = flag.Int("every", 1, "of the histories only each n-th")
	from   = flag.Int("from", 1, "the first of them")
	traces = flag.Bool("traces", false, "print what identifies each history")
)

// told is what came of a history.
type told struct {
	broken string
	trace  uint64
	count  map[string]int
}

// history has one history, in a bubble of its own: run plays it, and end makes all its processes end.
func history(t *testing.T, seed uint64, begin func(*World) (run, end func())) (out told) {
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

const collectEvery = 8 // histories

// play has histories of a kind in this process, and adds up what was seen in them.
func (k kind) play(t *testing.T, n int) map[string]int {
	total := make(map[string]int)
	first, last, step := uint64(*from), uint64(n), uint64(*every)
	if *historySeed != 0 {
		first, last, step = *historySeed, *historySeed, 1
	}
	for i, seed := 1, first; seed <= last; i, seed = i+1, seed+step {
		if i%collectEvery == 0 {
			runtime.GC()
		}
		emptyPools()
		emptyPools() // what the first call has set aside
		out := history(t, seed, k.begin)
		if *traces {
			fmt.Printf("trace %d %x\n", seed, out.trace)
		}
		if out.broken != "" {
			t.Fatalf("%s by history %d: %s\nrun it again: cd verify/sim && GOWORK=off LOCKSTEP_TEST_LENGTH=1 go test -run '^TestLongHistories$/^%s$' . -history=%d -v", violated, seed, out.broken, k.name, seed)
		}
		for what, n := range out.count {
			total[what] += n
		}
	}
	return total
}

// emptyPools leaves nothing in any pool but for one more call. The client keeps timers in one for others to use again, which
// must not pass from one bubble to the next.
//
//go:linkname emptyPools sync.poolCleanup
func emptyPools()

// What TestLongHistories and others run, in processes of their own.
func TestHistoriesHere(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			seen, err := json.Marshal(k.play(t, *histories))
			require.NoError(t, err)
			fmt.Printf("seen %s\n", seen)
		})
	}
}
