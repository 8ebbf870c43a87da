package loadtest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
)

// closing is how many events a producer sends at its end, at most: one to each shard.
const closing = 16

// A load that cannot be run says so in one line and leaves no files.
func (s *stack) testRefusals(t *testing.T) {
	for _, c := range []struct {
		flags string
		code  int
		says  string
	}{
		{"--threshold=nonsense", 2, `producer: --threshold: threshold "nonsense" has none of`},
		{"--out=absent/report.json", 1, "producer: cannot write the report to absent/report.json: no such file or directory"},
		{"--distribution=file:absent", 1, "producer: distribution file:absent: open absent: no such file or directory"},
		{"--distribution=file:absent --producers=2", 1, "producer: distribution file:absent: open absent: no such file or directory"},
		{"--payload=file:absent", 1, "producer: payload file: open absent: no such file or directory"},
	} {
		t.Run(c.flags, func(t *testing.T) {
			l := s.load(t, append(strings.Fields(c.flags), "--events=10")...)
			require.Equal(t, c.code, l.ExitCode())
			require.Len(t, l.Seen, 1, strings.Join(l.Seen, "\n"))
			require.True(t, strings.HasPrefix(l.Seen[0], c.says), l.Seen[0])
			require.Empty(t, l.Out.String())
			require.Empty(t, l.Left())
		})
	}
}

// Each event waits until the one before it is acknowledged.
func (s *stack) testClosedLoopOfOne(t *testing.T) {
	r := s.load(t, "--rate=max", "--in-flight=1", "--events=200").Passed()
	require.Equal(t, 1, r.Config.InFlight)
	require.Greater(t, r.Sent, uint64(200))
	require.LessOrEqual(t, r.Sent, uint64(200+closing))
}

// Keys and payloads may come from files.
func (s *stack) testFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, lines ...string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
		return "file:" + path
	}
	trace := file("trace", "alice", "bob", "alice", "zoë", "a b", "alice", "bob")
	var long []string
	for i := range 100 {
		long = append(long, strconv.Itoa(i))
	}
	unended := file("unended", long...)
	payloads := file("payloads", `{"amount":5}`, "", "17", strings.Repeat("x", 2000))
	for name, c := range map[string]struct {
		flags []string
		keys  int
	}{
		"a trace":              {[]string{"--distribution=" + trace}, 4},
		"a trace not ended":    {[]string{"--distribution=" + unended, "--events=5"}, 100},
		"payloads":             {[]string{"--payload=" + payloads, "--keys=50"}, 50},
		"both":                 {[]string{"--distribution=" + trace, "--payload=" + payloads}, 4},
		"both, by two at once": {[]string{"--distribution=" + trace, "--payload=" + payloads, "--producers=2"}, 2 * 4}, // each has keys of its own
	} {
		t.Run(name, func(t *testing.T) {
			r := s.load(t, append([]string{"--rate=2000", "--events=500"}, c.flags...)...).Passed()
			require.Equal(t, c.keys, r.Config.Keys)
		})
	}
}

// Several producers share the rate and the keys of the load.
func (s *stack) testSeveralProducers(t *testing.T) {
	const producers, scheduled = 3, 2000 * 3 / 2
	r := s.load(t, "--producers=3", "--rate=2000", "--warm-up=500ms", "--duration=1s", "--keys=1000").Passed()
	require.Equal(t, producers, r.Config.Producers)
	require.Equal(t, 1000, r.Config.Keys)
	require.Greater(t, r.Sent, uint64(scheduled))
	require.LessOrEqual(t, r.Sent, uint64(scheduled+producers*closing))
	events := uint64(0)
	for _, sh := range r.Shards {
		events += sh.Events
	}
	require.Equal(t, r.Sent, events)
}

// The workers are paused while a backlog piles up, and drain it after that.
func (s *stack) testBacklog(t *testing.T) {
	sub, err := s.nats.SubscribeSync(s.file.App + ".ctl.pause")
	require.NoError(t, err)
	defer sub.Unsubscribe()
	l := s.load(t, "--profile=backlog", "--duration=1s")
	_, err = sub.NextMsg(programs.Patience)
	require.NoError(t, err)
	for paused := 0; paused < workers; {
		require.NotContains(t, l.Left(), "report.json", "the load is over, and nobody saw the workers paused")
		paused = 0
		for _, w := range s.status(t) {
			if w.PausedMS > 0 {
				paused++
			}
		}
	}
	s.requireDrained(t, l.Passed())
}

// An interrupt ends the piling up of a backlog, and the workers drain it.
func (s *stack) testBacklogInterrupted(t *testing.T) {
	l := s.load(t, "--profile=backlog", "--duration=1h", "--rate=2000")
	l.Await(programs.Sending)
	l.Interrupt()
	r := l.Passed()
	require.True(t, r.Interrupted)
	s.requireDrained(t, r)
}

func (s *stack) requireDrained(t *testing.T, r programs.Report) {
	t.Helper()
	require.Equal(t, r.Sent, r.Backlog.Events)
	require.Positive(t, r.Backlog.DrainedPerSecond)
	for _, w := range s.status(t) {
		require.Zero(t, w.PausedMS, w.Name)
	}
}
