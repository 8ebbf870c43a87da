// Package loadtest compares a load's report with what happened. The programs run as processes of a stack, with workers that
// are stopped or that make mistakes on purpose.
package loadtest

import (
	"testing"

	"go.uber.org/goleak"

	"example.com/lockstep/deployments/local/programs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLoads holds all tests of the package, so that the programs are built once.
func TestLoads(t *testing.T) {
	if testing.Short() {
		t.Skip("did not run: -short, and it builds every program")
	}
	bin := programs.Build(t)
	t.Run("one stack", func(t *testing.T) {
		s := up(t, bin, bin)
		t.Run("refusals", s.testRefusals)
		t.Run("closed loop of one", s.testClosedLoopOfOne)
		t.Run("files", s.testFiles)
		t.Run("several producers", s.testSeveralProducers)
		t.Run("interrupts", s.testInterrupts)
		t.Run("search", s.testSearch)
		t.Run("backlog", s.testBacklog)
		t.Run("backlog interrupted", s.testBacklogInterrupted)
		t.Run("paused workers", s.testPausedWorkers)
		t.Run("stopped worker", s.testStoppedWorker)
	})
	t.Run("two apps", func(t *testing.T) { testApps(t, bin) })
	t.Run("faults", func(t *testing.T) { testFaults(t, bin) })
	t.Run("set of strings", func(t *testing.T) { testTags(t, bin) })
	t.Run("orders", func(t *testing.T) { testOrders(t, bin) })
	t.Run("parked", func(t *testing.T) { testParked(t, bin) })
	t.Run("changed generate", func(t *testing.T) { testGenerate(t, bin) })
}
