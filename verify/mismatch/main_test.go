// Package mismatch holds whole stacks, of programs as they are built, against what must end in a refusal or a stop with a
// clear line and never in a guess: a log and a store that do not fit together, a log or a store that is full, clocks that are off,
// programs started where they do not belong.
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
		{"status", testStatus},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, bin)
		})
	}
}
