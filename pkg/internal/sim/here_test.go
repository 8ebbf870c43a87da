//go:build determined

package sim

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// The runtime is one that leaves nothing to chance, as long as there is one processor and no collector.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(-1) // memory is collected between histories
	os.Exit(m.Run())
}

// What TestHistories and others run, in processes of their own.
func TestHistoriesHere(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			seen, err := json.Marshal(k.play(t, *histories))
			require.NoError(t, err)
			fmt.Printf("seen %s\n", seen)
		})
	}
}
