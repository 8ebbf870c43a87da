package faults

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// happened makes a note of a fault that lasted from a second of a load to another.
func happened(fault string, from, to float64) note {
	at := func(s float64) time.Time {
		return time.Unix(1_700_000_000, 0).Add(time.Duration(s * float64(time.Second)))
	}
	return note{fault: fault, At: at(from), Until: at(to)}
}

// waited makes a report in which what happened was followed by such waits, in seconds.
func waited(seconds ...float64) (r Report) {
	for _, s := range seconds {
		r.Annotations = append(r.Annotations, Annotation{WaitSeconds: s})
	}
	return r
}

func TestBounds(t *testing.T) {
	all := tallies([]note{
		happened(KillWorker, 1, 1.5), happened(TermRouter, 4, 4.2), happened(KillWorker, 8, 8.5), happened(KillWorker, 12, 12.5),
		happened(StopWorker, 20, 30), happened(TermRouter, 25, 25.1), // while another is on
		happened(KillWorker, 30.5, 31),                               // shortly after it
		happened(KillNATS, 40, 40.5), happened(KillWorker, 46, 46.5), // before workers judge again
		happened(CutProducer, 60, 60.1), // among others
	}, waited(0.3, 0.2, 1.4, 0.4, 9, 9, 9, 0.7, 9, 9))
	var out strings.Builder
	crossed, err := printTallies(&out, all)
	require.NoError(t, err)
	require.Empty(t, crossed)
	require.Equal(t, `
the longest wait of an event, for each fault that came alone:
         fault  came  alone   median     most          bounds
   kill-worker     5      3  0.400 s  1.400 s  1.00 s, 1.50 s
   term-router     2      1  0.200 s  0.200 s          0.25 s
   stop-worker     1      0        -        -               -
     kill-nats     1      1  0.700 s  0.700 s               -
  cut-producer     1      0        -        -  1.00 s, 1.50 s
`, out.String())
}

// What events wait for already is not the work of a fault.
func TestWaitsFromBefore(t *testing.T) {
	r := waited(9, 0.3)
	r.Annotations[0].At, r.Annotations[1].At = 10, 20
	r.Timeline.IntervalSeconds = 2
	r.Timeline.Points = []Point{
		{At: 6, ApplyMaxMS: 12_000}, {At: 8, ApplyMaxMS: 10_000}, {At: 10, ApplyMaxMS: 9_000}, {At: 18, ApplyMaxMS: 90}, {At: 20, ApplyMaxMS: 300},
	}
	all := tallies([]note{happened(KillWorker, 10, 10.5), happened(KillWorker, 20, 20.5)}, r)
	require.Len(t, all, 1)
	require.Equal(t, 2, all[0].times)
	require.Equal(t, []time.Duration{300 * time.Millisecond}, all[0].waits)
}

// What was over only when the producer had read the file is not in its report.
func TestWaitsThatAreNotReported(t *testing.T) {
	late, n := happened(StopWorker, 1, 60), happened(KillWorker, 70, 71)
	late.place, n.place = 1, 0
	all := tallies([]note{late, n}, waited(0.5))
	require.Len(t, all, 2)
	require.Equal(t, []time.Duration{500 * time.Millisecond}, all[0].waits)
	require.Equal(t, StopWorker, all[1].fault)
	require.Equal(t, 1, all[1].times)
	require.Empty(t, all[1].waits)
}

func TestCrossedBounds(t *testing.T) {
	for fault, waits := range map[string][]float64{
		KillWorker:     {1.6},           // the most
		KillRouter:     {0.1, 1.1, 1.2}, // the median
		RollingRestart: {0.26},
	} {
		var notes []note
		for i := range waits {
			notes = append(notes, happened(fault, float64(10*i), float64(10*i+1)))
		}
		var out strings.Builder
		crossed, err := printTallies(&out, tallies(notes, waited(waits...)))
		require.NoError(t, err)
		require.Equal(t, []string{fault}, crossed)
		require.Contains(t, out.String(), "crossed")
	}
	for fault := range bounds() {
		require.Contains(t, names(), fault)
	}
}
