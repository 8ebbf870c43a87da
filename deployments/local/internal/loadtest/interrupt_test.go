package loadtest

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/query"
)

// The first interrupt ends the sending, and the events sent so far are verified. The second one ends everything.
func (s *stack) testInterrupts(t *testing.T) {
	for _, producers := range []int{1, 2} {
		flags := []string{"--rate=2000", "--duration=1h", "--keys=100", "--producers=" + strconv.Itoa(producers)}
		t.Run("one, producers "+strconv.Itoa(producers), func(t *testing.T) {
			l := s.load(t, flags...)
			l.Await(programs.Sending)
			l.Interrupt()
			r := l.Passed()
			require.True(t, r.Interrupted)
			require.Equal(t, producers, r.Config.Producers)
			require.Contains(t, l.Out.String(), "\ninterrupted: sending ended after ")
		})
		t.Run("two, producers "+strconv.Itoa(producers), func(t *testing.T) {
			l := s.load(t, flags...)
			l.Await(programs.Sending)
			s.pause(t, query.MaxPause) // no shard reaches the log's end, so the first interrupt is still being handled
			defer s.pause(t, 0)
			l.Interrupt()
			l.Await("waiting until every shard has reached the log's end")
			l.Interrupt()
			require.Equal(t, 1, l.ExitCode())
			require.Equal(t, "producer: aborted, nothing was verified", l.Seen[len(l.Seen)-1])
			require.Empty(t, l.Out.String())
			require.Empty(t, l.Left(), "nothing is reported")
		})
	}
}
