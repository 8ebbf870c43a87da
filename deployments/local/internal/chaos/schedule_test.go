package chaos

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// newRun is a run without a stack: what befalls it must be given.
func newRun(t *testing.T) *run {
	t.Helper()
	notes, err := newNotes(filepath.Join(t.TempDir(), "faults.jsonl"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, notes.close()) })
	return &run{notes: notes, say: t.Logf, within: 100 * time.Millisecond, held: map[string]*sync.Mutex{}}
}

// The load ends while a fault is on: it is cut short and mended, and what it broke must still come back.
func TestFaultOutlivesTheLoad(t *testing.T) {
	for name, test := range map[string]struct {
		whole func(context.Context) error
		says  string
	}{
		"back":     {whole: func(ctx context.Context) error { return ctx.Err() }},
		"not back": {whole: func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }, says: "stop-worker of worker-1: not within 100ms"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t)
			load, ends := context.WithCancel(t.Context())
			mended := false
			err := r.befall(t.Context(), load, Step{Fault: StopWorker, Victim: "worker-1", For: time.Hour}, fault{
				inject: func(context.Context) (string, error) { ends(); return "it stops", nil },
				mend:   func() error { mended = true; return nil },
				whole:  test.whole,
			})
			require.True(t, mended)
			if test.says != "" {
				require.EqualError(t, err, test.says)
				require.Empty(t, r.notes.byTime())
				return
			}
			require.NoError(t, err)
			require.Len(t, r.notes.byTime(), 1)
		})
	}
}

// The load ends before faults have begun, or while one waits for its moment: they have not happened.
func TestLoadEndsBeforeFaults(t *testing.T) {
	r := newRun(t)
	load, ends := context.WithCancel(t.Context())
	broken := errors.New("still broken")
	for _, mend := range []error{nil, broken} {
		err := r.befall(t.Context(), load, Step{Fault: KillLeader, Victim: theLeader}, fault{
			inject: func(ctx context.Context) (string, error) { ends(); return "", ctx.Err() },
			mend:   func() error { return mend },
		})
		if mend == nil {
			require.NoError(t, err)
			load, ends = context.WithCancel(t.Context())
			continue
		}
		require.ErrorIs(t, err, broken)
	}
	require.NoError(t, r.play(t.Context(), load, Plan{Steps: []Step{{Fault: KillWorker, Victim: "worker-1"}}}))
	require.NoError(t, r.befall(t.Context(), load, Step{Fault: KillWorker, Victim: "worker-1"}, fault{}))
	require.Empty(t, r.notes.byTime())
}
