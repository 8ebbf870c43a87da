//go:build !determined

package sim

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/verify/sim/mutations"
	"github.com/stretchr/testify/require"
)

// writtenFor is the Go whose runtime determinism edits. Another one may do: each edit says whether it fits.
const writtenFor = "go1.26.8"

// determinism are edits of Go's runtime. Its random choices within a bubble - among the ready cases of a select, among timers
// of the same instant, where the iteration of a map begins - follow from the bubble's history alone. So does the order of
// goroutines, on one processor and without the collector: none is preempted, and nothing outside the bubble changes it.
// Polar Signals' "(Mostly) Deterministic Simulation Testing in Go" (2024) goes the same way with a runtime for WebAssembly.
var determinism = []mutations.Edit{
	{File: "runtime/synctest.go", Old: "	active  int // other sources of activity\n}\n", New: `	active  int // other sources of activity

	chosen   uint64 // what choose has drawn
	at, drawn int64  // what draw has drawn at an instant
}

// choose draws for selects and timers.
//
//go:nosplit
func (b *synctestBubble) choose() uint64 {
	b.chosen++
	return scramble(b.chosen)
}

// draw draws for all else. Its result depends on the instant, not on earlier draws: caches that are filled once for all
// bubbles draw too.
//
//go:nosplit
func (b *synctestBubble) draw() uint64 {
	if b.at != b.now {
		b.at, b.drawn = b.now, 0
	}
	b.drawn++
	return scramble(uint64(b.now) ^ uint64(b.drawn)<<56)
}

// scramble is the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
//
//go:nosplit
func scramble(z uint64) uint64 {
	z *= 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
`},
	{File: "runtime/select.go", Old: "		j := cheaprandn(uint32(norder + 1))\n", New: `		j := uint32(0)
		if gp.bubble != nil {
			j = uint32(gp.bubble.choose() % uint64(norder+1))
		} else {
			j = cheaprandn(uint32(norder + 1))
		}
`},
	{File: "runtime/time.go", Old: "			t.rand = cheaprand()\n", New: "			t.rand = uint32(getg().bubble.choose())\n"},
	{File: "runtime/rand.go", Old: "func rand() uint64 {\n", New: `func rand() uint64 {
	if b := getg().bubble; b != nil {
		return b.draw()
	}
`},
	// Maps' seeds and iterations. Hashes are seeded too, once for the program.
	{File: "runtime/rand.go", Old: "func rand32() uint32 {\n	return uint32(rand())\n", New: "func rand32() uint32 {\n	return uint32(maps_rand())\n"},
	{File: "runtime/rand.go", Old: "func maps_rand() uint64 {\n	return rand()\n", New: `//go:nosplit
func maps_rand() uint64 {
	if b := getg().bubble; b != nil {
		return scramble(uint64(b.now))
	}
	return rand()
`},
	{File: "runtime/alg.go", Old: "		hashkey[i] = uintptr(bootstrapRand())\n", New: "		hashkey[i] = uintptr(scramble(uint64(i + 1)))\n"},
	{File: "runtime/alg.go", Old: "		key[i] = bootstrapRand()\n", New: "		key[i] = scramble(uint64(i + 1))\n"},
	// A goroutine that waits for a lock waits for another one of the bubble, so time may pass.
	{File: "runtime/runtime2.go", Old: "	waitReasonSynctestSelect:        true,\n}\n", New: `	waitReasonSynctestSelect:        true,
	waitReasonSyncMutexLock:         true,
	waitReasonSyncRWMutexLock:       true,
	waitReasonSyncRWMutexRLock:      true,
}
`},
	// The order of goroutines.
	{File: "runtime/proc.go", Old: "	if pp.schedtick%61 == 0 && !sched.runq.empty() {\n", New: "	if false {\n"},
	{File: "runtime/proc.go", Old: "		} else if pd.schedwhen+forcePreemptNS <= now {\n", New: "		} else if false {\n"},
	{File: "runtime/proc.go", Old: "	runqput(mp.p.ptr(), gp, next)\n", New: "	runqput(mp.p.ptr(), gp, next && gp.bubble != nil)\n"},
	{File: "runtime/proc.go", Old: "const randomizeScheduler = raceenabled\n", New: "const randomizeScheduler = false\n"},
	{File: "internal/sync/mutex.go", Old: "	starvationThresholdNs = 1e6\n", New: "	starvationThresholdNs = 1 << 62\n"},
	// These only save time: there is no second processor to wake or to lock out, and stacks grow less often.
	{File: "runtime/proc.go", Old: "func wakep() {\n", New: "func wakep() {\n	if gomaxprocs == 1 {\n		return\n	}\n"},
	{File: "runtime/synctest.go", Old: "	lock(&bubble.mu)\n	bubble.total += totalDelta\n", New: "	bubble.total += totalDelta\n"},
	{File: "runtime/synctest.go", Old: "	unlock(&bubble.mu)\n	if wake != nil {\n		goready(wake, 0)\n	}\n}\n\n// inc",
		New: "	if wake != nil {\n		goready(wake, 0)\n	}\n}\n\n// inc"},
	{File: "runtime/synctest.go", Old: "	lock(&bubble.mu)\n	bubble.active++\n	unlock(&bubble.mu)\n", New: "	bubble.active++\n"},
	{File: "runtime/synctest.go", Old: "	lock(&bubble.mu)\n	bubble.active--\n", New: "	bubble.active--\n"},
	{File: "runtime/synctest.go", Old: "	unlock(&bubble.mu)\n	if wake != nil {\n		goready(wake, 0)\n	}\n}\n\n// maybe",
		New: "	if wake != nil {\n		goready(wake, 0)\n	}\n}\n\n// maybe"},
	{File: "runtime/stack.go", Old: "var startingStackSize uint32 = fixedStack\n", New: "var startingStackSize uint32 = 8192\n"},
	{File: "runtime/runtime1.go", Old: "debug.adaptivestackstart = 1", New: "debug.adaptivestackstart = 0"},
}

// quicker are edits of our own sources that only make histories faster: a ring, which takes long to build, is built once for
// each number of shards.
var quicker = []mutations.Edit{
	{File: "ring/ring.go", Old: "func New(shards []int) (*Ring, error) {\n", New: `var (
	mu    sync.Mutex // guards built
	built = make(map[int]*Ring)
)

// New builds rings, of the shards 0 to n-1, once.
func New(shards []int) (*Ring, error) {
	mu.Lock()
	defer mu.Unlock()
	if built[len(shards)] == nil {
		r, err := build(shards)
		if err != nil {
			return nil, err
		}
		built[len(shards)] = r
	}
	return built[len(shards)], nil
}

func build(shards []int) (*Ring, error) {
`},
	{File: "ring/ring.go", Old: "	\"slices\"\n", New: "	\"slices\"\n	\"sync\"\n"},
}

// determined builds this package's tests with an edited runtime, which leaves nothing to chance, and with edits of our own
// sources, and returns the binary. A history runs the same way each time. The binary lacks the tests that build such binaries
// or need servers, which take long to link.
func determined(t *testing.T, edits []mutations.Edit, flags ...string) string {
	t.Helper()
	src, _ := goSources(t)
	edits = slices.Concat(edits, quicker)
	for _, e := range determinism {
		e.File = filepath.Join(src, e.File)
		edits = append(edits, e)
	}
	return mutations.Build(t, "verify/sim", edits, nil, append(flags, "-tags=determined")...)
}

// goSources returns where the sources of Go's packages are, and of which Go.
func goSources(t *testing.T) (src, version string) {
	t.Helper()
	env, err := exec.Command("go", "env", "GOROOT", "GOVERSION").Output()
	require.NoError(t, err)
	goroot, version, _ := strings.Cut(strings.TrimSpace(string(env)), "\n")
	return filepath.Join(goroot, "src"), version
}

// long begins a test that takes minutes and builds binaries by determined.
func long(t *testing.T) (length int) {
	t.Helper()
	length = testkit.Long(t)
	if refusal := unfit(goSources(t)); refusal != "" {
		t.Fatal(refusal)
	}
	return length
}

// unfit says, in one line, which edit does not fit a Go's sources; "" when all fit.
func unfit(src, version string) string {
	for _, e := range determinism {
		found := 0
		text, err := os.ReadFile(filepath.Join(src, e.File))
		if err == nil {
			found = strings.Count(string(text), e.Old)
		}
		if found != 1 {
			return fmt.Sprintf("the simulation cannot run on %s: its edit of %s, written for %s, wants %q there once, and it is there %d times. "+
				"Nothing but verify/sim depends on it.",
				version, e.File, writtenFor, e.Old, found)
		}
	}
	return ""
}

// A Go with other sources is refused with one line.
func TestOtherGoIsRefused(t *testing.T) {
	sources, version := goSources(t)
	src := t.TempDir()
	for _, e := range determinism {
		text, err := os.ReadFile(filepath.Join(sources, e.File))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(src, e.File)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(src, e.File), text, 0o600))
	}
	require.Empty(t, unfit(src, version))

	selects := filepath.Join(src, "runtime/select.go")
	text, err := os.ReadFile(selects)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(selects, bytes.ReplaceAll(text, []byte("cheaprandn("), []byte("otherrandn(")), 0o600))
	require.Equal(t, `the simulation cannot run on go9.9: its edit of runtime/select.go, written for `+writtenFor+
		`, wants "\t\tj := cheaprandn(uint32(norder + 1))\n" there once, and it is there 0 times. Nothing but verify/sim depends on it.`, unfit(src, "go9.9"))

	require.NoError(t, os.Remove(selects))
	require.Contains(t, unfit(src, "go9.9"), "runtime/select.go")
}
