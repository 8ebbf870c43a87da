// Package mismatch runs stacks of the built programs in conditions in which they must refuse or stop with a clear line and
// never guess: a log and a store that do not belong to each other, a full log, store or disk, wrong clocks, programs started
// with another app or store.
package mismatch

import (
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLongMismatches runs them all, so that the programs are built once.
func TestLongMismatches(t *testing.T) {
	testkit.Long(t)
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("did not run: there is no redis-server on PATH to wipe")
	}
	bin := programs.Build(t)
	for _, test := range []struct {
		name string
		run  func(t *testing.T, bin string)
	}{ // the longest first; most of it is waiting
		{"clocks", testClocks},
		{"paused janitor", testPausedJanitor},
		{"another log", testAnotherLog},
		{"wiped store", testWipedStore},
		{"full log", testFullLog},
		{"full store", testFullStore},
		{"full disk", testFullDisk},
		{"strangers", testStrangers},
		{"a topology from the future", testTopologyFromTheFuture},
		{"status", testStatus},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, bin)
		})
	}
}
