package loadtest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/query"
)

// A worker that is stopped for a second shows in the latency, in the pauses and in the timeline, though no event failed.
// Two loads see the same stop; one of them has a threshold.
func (s *stack) testStoppedWorker(t *testing.T) {
	const stop = time.Second
	flags := []string{"--rate=2000", "--duration=5s", "--keys=1000"}
	worker, owned := s.process(t, "worker-1"), s.shardsOf(t, "worker-1")
	require.NotEmpty(t, owned)

	plain := s.load(t, flags...)
	judged := s.load(t, append(flags, "--threshold=apply.p99<100ms")...)
	plain.Await(programs.Sending)
	judged.Await(programs.Sending)
	t.Cleanup(func() { _ = syscall.Kill(worker.PID, syscall.SIGCONT) })
	require.NoError(t, syscall.Kill(worker.PID, syscall.SIGSTOP))
	<-time.After(stop) // the length of the pause that the loads must report
	require.NoError(t, syscall.Kill(worker.PID, syscall.SIGCONT))

	r := plain.Passed()
	require.Greater(t, r.LatencyMS.Apply.P99, 500.0, "p99 from the intended time")
	seen := longestPause(r, owned)
	require.GreaterOrEqual(t, seen.Seconds, 0.7, "of the shards %v: %+v", owned, r.Pauses.Longest)
	require.Greater(t, slowestOver(r, seen), 700.0, "ms, in the timeline during %+v", seen)

	r = judged.Ended(99)
	require.Equal(t, "crossed", r.Verdict)
	require.Empty(t, r.Violations)
	require.Len(t, r.Thresholds, 1)
	require.False(t, r.Thresholds[0].Held)
	require.Equal(t, r.Sent, r.Applied)
}

// Events that are in the log and not applied when the load gives up waiting are unfinished, not lost, with one producer and
// with several. Once the workers take events again, the next load passes.
func (s *stack) testPausedWorkers(t *testing.T) {
	for _, producers := range []string{"1", "2"} {
		t.Run(producers+" producers", func(t *testing.T) {
			s.pause(t, query.MaxPause)
			l := s.load(t, "--rate=4000", "--events=2000", "--keys=2000", "--drain-timeout=1s", "--producers="+producers)
			r := l.Ended(97)
			require.Equal(t, "unfinished", r.Verdict)
			require.Empty(t, r.Violations)
			require.Zero(t, r.Lost)
			require.Zero(t, r.Applied)
			require.Equal(t, r.Acked, r.Unfinished)
			require.Len(t, r.UnfinishedShards, 16)
			for _, sh := range r.UnfinishedShards {
				require.Greater(t, sh.End, sh.Seq)
				require.Regexp(t, `^worker-[12] owns it and says: `+query.StatePaused+`$`, sh.Why)
			}
			require.Contains(t, l.Out.String(), fmt.Sprintf("unknown keys 0, unfinished %d\n  unfinished: shard 0 has committed up to ", r.Unfinished))
			page, err := os.ReadFile(filepath.Join(l.Dir, "report.html"))
			require.NoError(t, err)
			require.Contains(t, string(page), `<section class="verdict unfinished"`)

			s.pause(t, 0)
			s.load(t, "--rate=4000", "--events=500", "--keys=100").Passed()
		})
	}
}

// shardsOf returns which shards a worker owns.
func (s *stack) shardsOf(t *testing.T, name string) map[int]bool {
	t.Helper()
	owned := make(map[int]bool)
	for _, w := range s.status(t) {
		if w.Name == name {
			for _, sh := range w.Shards {
				owned[sh.Shard] = true
			}
		}
	}
	return owned
}

// longestPause returns the longest pause of some shards.
func longestPause(r programs.Report, of map[int]bool) (longest programs.Pause) {
	for _, p := range r.Pauses.Longest {
		if of[p.Shard] && p.Seconds > longest.Seconds {
			longest = p
		}
	}
	return longest
}

// slowestOver returns the longest wait of the events that were due during a pause, by the timeline.
func slowestOver(r programs.Report, p programs.Pause) (ms float64) {
	for _, point := range r.Timeline.Points {
		if point.At+r.Timeline.IntervalSeconds > p.From && point.At < p.From+p.Seconds {
			ms = max(ms, point.ApplyMaxMS)
		}
	}
	return ms
}
