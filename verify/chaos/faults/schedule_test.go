package faults

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// newRun is a run without a stack: the test supplies its faults.
func newRun(t *testing.T) *run {
	t.Helper()
	notes, err := newNotes(filepath.Join(t.TempDir(), "faults.jsonl"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, notes.close()) })
	return &run{notes: notes, say: t.Logf, within: 100 * time.Millisecond, held: map[string]*sync.Mutex{}}
}

// The load ends during a fault: the fault is cut short and mended, and the part must still recover.
func TestFaultOutlivesTheLoad(t *testing.T) {
	for name, test := range map[string]struct {
		recovered func(context.Context) error
		says      string
	}{
		"back":     {recovered: func(ctx context.Context) error { return ctx.Err() }},
		"not back": {recovered: func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }, says: "stop-worker of worker-1: not within 100ms"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t)
			load, ends := context.WithCancel(t.Context())
			mended := false
			err := r.carryOut(t.Context(), load, Step{Fault: StopWorker, Victim: "worker-1", For: time.Hour}, fault{
				inject:    func(context.Context) (string, error) { ends(); return "it stops", nil },
				mend:      func() error { mended = true; return nil },
				recovered: test.recovered,
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

// The load ends before faults have broken anything: they count as not happened.
func TestLoadEndsBeforeFaults(t *testing.T) {
	r := newRun(t)
	step := Step{Fault: KillLeader, Victim: theLeader}
	broken := errors.New("still broken")
	for _, mended := range []error{nil, broken} {
		load, ends := context.WithCancel(t.Context())
		err := r.carryOut(t.Context(), load, step, fault{
			inject: func(ctx context.Context) (string, error) { ends(); return "", ctx.Err() },
			mend:   func() error { return mended },
		})
		require.ErrorIs(t, err, mended)
		require.NoError(t, r.carryOut(t.Context(), load, step, fault{}))
		require.NoError(t, r.play(t.Context(), load, Plan{Steps: []Step{step}}))
	}
	require.Empty(t, r.notes.byTime())
}

// A crash waits until Redis has written something that it can lose.
func TestAwaitGrowth(t *testing.T) {
	file := filepath.Join(t.TempDir(), "aof")
	require.NoError(t, os.WriteFile(file, []byte("old"), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), lostWrites+5*askEvery)
	defer cancel()
	require.ErrorIs(t, awaitGrowth(ctx, file, 3), context.DeadlineExceeded)
	require.NoError(t, os.WriteFile(file, []byte("old and new"), 0o600))
	require.NoError(t, awaitGrowth(t.Context(), file, 3))
	require.ErrorIs(t, awaitGrowth(t.Context(), file+"gone", 3), os.ErrNotExist)
}
