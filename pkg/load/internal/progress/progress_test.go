package progress

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func at(second int) Snapshot {
	n := uint64(second) * 1000
	return Snapshot{
		Elapsed: time.Duration(second) * time.Second, Total: 10 * time.Second, Sent: n + 20, Acked: n, Failed: 5,
		Unapplied: 7, Late: 3 * time.Millisecond, ApplyP99: 12300 * time.Microsecond,
	}
}

func TestALineASecond(t *testing.T) {
	var out bytes.Buffer
	v := New(&out) // no terminal
	require.Equal(t, time.Second, v.Every())
	v.Say("run x")
	v.Show(at(1))
	v.Show(at(3))
	v.Done()
	require.Equal(t, []string{
		"run x",
		"   1s  sent 1020  acked 1000  1000/s  p99 12.3 ms  in flight 15  lag 7  behind 3 ms  failed 5",
		"   3s  sent 3020  acked 3000  1000/s  p99 12.3 ms  in flight 15  lag 7  behind 3 ms  failed 5",
	}, strings.Split(strings.TrimSpace(out.String()), "\n"))
}

func TestABarOnATerminal(t *testing.T) {
	var out bytes.Buffer
	b := &bar{out: &out}
	b.Say("before")
	for second := range 10 {
		b.Show(at(second))
	}
	b.Say("meanwhile")
	b.Show(at(10))
	drawn := out.String()
	late := at(11)
	late.Late = time.Second
	b.Show(late)
	require.Contains(t, out.String(), "failed 5  behind 1000 ms")
	b.Done()
	require.True(t, strings.HasPrefix(drawn, "before\n"))
	require.Contains(t, drawn, "meanwhile\n")
	require.Contains(t, drawn, "90%")
	require.Contains(t, drawn, "10s  1000/s  p99 12.3 ms  in flight 15  lag 7  failed 5")
	b.Done()
	b.Say("after")
	require.True(t, strings.HasSuffix(out.String(), "after\n"))
}

func TestHowMuchIsDone(t *testing.T) {
	require.Zero(t, Snapshot{Elapsed: time.Second}.done(), "no limit is known")
	require.Equal(t, 0.5, Snapshot{Elapsed: time.Second, Total: 2 * time.Second}.done())
	require.Equal(t, 0.75, Snapshot{Elapsed: time.Second, Total: 2 * time.Second, Sent: 3, Events: 4}.done())
	require.Equal(t, 1.0, Snapshot{Elapsed: 3 * time.Second, Total: 2 * time.Second}.done())
}

func TestSnapshotsAddUp(t *testing.T) {
	s := at(2)
	s.Add(at(3))
	require.Equal(t, Snapshot{
		Elapsed: 3 * time.Second, Total: 10 * time.Second, Sent: 5040, Acked: 5000, Failed: 10, Unapplied: 14,
		Late: 3 * time.Millisecond, ApplyP99: 12300 * time.Microsecond,
	}, s)
}

func TestFollowShowsUntilItIsStopped(t *testing.T) {
	v := &counting{View: Lines(&bytes.Buffer{}), shown: make(chan Snapshot)}
	looks := 0
	stop := Follow(v, func() (Snapshot, bool) {
		looks++
		return at(looks), looks != 2
	})
	require.Equal(t, at(1), <-v.shown)
	require.Equal(t, at(3), <-v.shown, "at the second look there was nothing to show")
	go func() {
		for range v.shown { // what comes before it is stopped
		}
	}()
	stop()
	require.Equal(t, 1, v.done)
	close(v.shown)
}

// counting is a view in a hurry.
type counting struct {
	View
	shown chan Snapshot
	done  int
}

func (c *counting) Every() time.Duration { return time.Millisecond }
func (c *counting) Show(s Snapshot)      { c.shown <- s }
func (c *counting) Done()                { c.done++ }
