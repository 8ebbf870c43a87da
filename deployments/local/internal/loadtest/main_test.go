// Package loadtest holds what a load says against what happened: the programs as they are built, as processes of real
// stacks, with workers that are stopped or that make mistakes on purpose.
package loadtest

import (
	"testing"

	"go.uber.org/goleak"

	"example.com/lockstep/deployments/local/programs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLoads runs them all, so that the programs are built once.
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
		t.Run("standing shards", s.testStandingShards)
		t.Run("stopped worker", s.testStoppedWorker)
	})
	t.Run("faults", func(t *testing.T) { testFaults(t, bin) })
}
