//go:build !determined

package sim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// spread runs n histories of a kind in processes of a binary, one for each processor, and adds up the events noted in them.
func (k kind) spread(t *testing.T, binary string, n int) map[string]int {
	type result struct {
		out  []byte
		seen map[string]int
		err  error
	}
	processes := runtime.GOMAXPROCS(0)
	if *historySeed != 0 {
		processes = 1
	}
	results := make(chan result, processes)
	for i := range processes {
		go func() {
			var r result
			r.out, r.err = exec.CommandContext(t.Context(), binary, "-test.v",
				fmt.Sprintf("-test.run=^TestHistoriesHere$/^%s$", k.name), fmt.Sprintf("-histories=%d", n),
				fmt.Sprintf("-from=%d", 1+i), fmt.Sprintf("-every=%d", processes), fmt.Sprintf("-history=%d", *historySeed), "-test.timeout=20m").CombinedOutput()
			for lines := bufio.NewScanner(bytes.NewReader(r.out)); lines.Scan(); {
				if seen, ok := bytes.CutPrefix(lines.Bytes(), []byte("seen ")); ok && r.err == nil {
					r.err = json.Unmarshal(seen, &r.seen)
				}
			}
			results <- r
		}()
	}
	total := make(map[string]int)
	for range processes {
		r := <-results
		require.NoError(t, r.err, "%s", r.out)
		require.NotEmpty(t, r.seen, "%s", r.out)
		for what, n := range r.seen {
			total[what] += n
		}
		if *historySeed != 0 {
			t.Logf("%s", r.out)
		}
	}
	return total
}

// Every history keeps the promises. Group: after any fault members find their places in time, and no member takes a shard from
// a healthy one. Fill: the log holds the events so that each is applied once, in order, and no acknowledged one is missing.
// Flow: the same with workers, up to the states.
func TestLongHistories(t *testing.T) {
	length := long(t)
	binary := determined(t, nil)
	for _, k := range kinds {
		n := k.n * length
		if *histories > 0 {
			n = *histories
		}
		t.Run(k.name, func(t *testing.T) {
			total := k.spread(t, binary, n)
			t.Logf("%d histories: %v", n, total)
			if n < k.n || *historySeed != 0 {
				return
			}
			for _, what := range k.seen {
				require.NotZero(t, total[what], "no history saw: %s", what)
			}
		})
	}
}

// No history has a data race. For the race detector all of Go is built once more.
func TestLongHistoriesHaveNoRaces(t *testing.T) {
	n := 200 * long(t)
	binary := determined(t, nil, "-race")
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { t.Logf("%v", k.spread(t, binary, n)) })
	}
}
