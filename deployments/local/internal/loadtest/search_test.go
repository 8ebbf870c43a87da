package loadtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
)

func (s *stack) testSearch(t *testing.T) {
	flags := func(more ...string) []string {
		return append(more, "--profile=find-max", "--duration=500ms", "--warm-up=0s", "--keys=100")
	}

	t.Run("no rate holds", func(t *testing.T) {
		l := s.load(t, flags("--rate=4", "--find-max=1us")...)
		r := l.Passed()
		require.Zero(t, r.FindMax.Rate)
		require.Contains(t, l.Out.String(), "\nno rate held; ")
		var tried []uint64
		for _, trial := range r.FindMax.Trials {
			tried = append(tried, trial.Rate)
			require.False(t, trial.Held)
			require.Regexp(t, `^p99 is [0-9.]+ ms$`, trial.Why)
		}
		require.Equal(t, []uint64{4, 4, 2, 2, 1, 1}, tried, "each had its second chance")
	})

	t.Run("interrupted", func(t *testing.T) {
		l := s.load(t, flags("--rate=2000", "--find-max=5s")...)
		l.Await("2000/s: held")
		l.Await("run ") // the next trial
		l.Interrupt()
		r := l.Passed()
		require.True(t, r.Interrupted)
		require.GreaterOrEqual(t, r.FindMax.Rate, uint64(2000))
		require.NotEmpty(t, r.FindMax.Trials)
		require.Equal(t, programs.Trial{Rate: 2000, Held: true}, r.FindMax.Trials[0])
	})

	t.Run("interrupted in the first trial", func(t *testing.T) {
		l := s.load(t, append(flags("--rate=2000", "--find-max=5s"), "--duration=1h")...)
		l.Await(programs.Sending)
		l.Interrupt()
		r := l.Passed()
		require.True(t, r.Interrupted)
		require.Zero(t, r.FindMax.Rate)
		require.NotNil(t, r.FindMax.Trials, "none, and not null")
		require.Empty(t, r.FindMax.Trials)
	})
}
