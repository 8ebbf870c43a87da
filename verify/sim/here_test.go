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

// The edited runtime leaves nothing to chance as long as there is one processor and no collector.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(-1) // memory is collected between histories
	os.Exit(m.Run())
}

var (
	every  = flag.Int("every", 1, "run only every n-th history")
	from   = flag.Int("from", 1, "seed of the first history")
	traces = flag.Bool("traces", false, "print the digest of each history")
)

// told is the result of a history.
type told struct {
	broken string
	trace  uint64
	count  map[string]int
}

// history runs one history in a bubble of its own: run plays it, and end stops all its processes.
func history(t *testing.T, seed uint64, begin func(*World) (run, end func())) (out told) {
	var lines []string // written at the end: writing takes time
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

// play runs histories of a kind in this process, and adds up the events noted in them.
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
		emptyPools() // the first call only sets the contents aside
		out := history(t, seed, k.begin)
		if *traces {
			fmt.Printf("trace %d %x\n", seed, out.trace)
		}
		if out.broken != "" {
			t.Fatalf("%s by history %d: %s\n"+
				"run it again: cd verify/sim && GOWORK=off TESTKIT_LENGTH=1 go test -run '^TestLongHistories$/^%s$' . -history=%d -v",
				violated, seed, out.broken, k.name, seed)
		}
		for what, n := range out.count {
			total[what] += n
		}
	}
	return total
}

// emptyPools empties every sync.Pool, when called twice. The NATS client keeps timers in one, which must not pass from one
// bubble to the next.
//
//go:linkname emptyPools sync.poolCleanup
func emptyPools()

// TestHistoriesHere is run by TestLongHistories and others in processes of their own.
func TestHistoriesHere(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			seen, err := json.Marshal(k.play(t, *histories))
			require.NoError(t, err)
			fmt.Printf("seen %s\n", seen)
		})
	}
}
