package drive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/publish"
)

func TestWarmUpIsVerifiedButLeftOutOfFigures(t *testing.T) {
	f := newFake()
	cfg := testConfig()
	cfg.WarmUp = 50 * time.Millisecond
	r := runLoad(t, cfg, f)
	require.Empty(t, r.Violations)
	require.EqualValues(t, 2000+f.shards, r.Sent)
	require.Equal(t, r.Sent, r.Applied)
	require.EqualValues(t, 1000, r.WarmUpAcked)
	for _, n := range []int64{r.Ack.Count(), r.Apply.Count(), r.Lag.Count()} {
		require.EqualValues(t, 1000+f.shards, n)
	}
}

func TestBacklog(t *testing.T) {
	f := newFake()
	cfg := testConfig()
	cfg.Backlog = true
	r := runLoad(t, cfg, f)
	require.Empty(t, r.Violations)
	require.Equal(t, []time.Duration{pauseFor, 0}, f.paused)
	require.Equal(t, r.Sent, r.Backlog.Events)
	require.Positive(t, r.Backlog.Resumed)
	require.Equal(t, r.LastReceipt, r.Backlog.Drained)
}

func TestWorkersThatCannotBePaused(t *testing.T) {
	f := newFake()
	f.deaf = errors.New("nobody listens")
	cfg := testConfig()
	cfg.Backlog = true
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	l, err := New(cfg, asFlagsSay, f, nobody)
	require.NoError(t, err)
	_, err = l.Run(ctx, ctx)
	require.ErrorContains(t, err, "pause the workers: nobody listens")
	require.Zero(t, f.paused[len(f.paused)-1], "those who did hear go on")
}

func TestChangesOfOwnersAreNoted(t *testing.T) {
	f := newFake()
	f.onSent = func(nth int) {
		if nth == 10 {
			f.changed(3, "worker-2")
		}
	}
	r := runLoad(t, testConfig(), f)
	require.Len(t, r.Owners, 1)
	require.Equal(t, 3, r.Owners[0].Shard)
	require.Equal(t, "worker-2", r.Owners[0].Name)
	require.Positive(t, r.Owners[0].At)
}

// A shard whose events wait is a pause of that shard, as long as they wait.
func TestAStallShows(t *testing.T) {
	f := newFake()
	const stall = 3 * 100 * time.Millisecond
	f.fate = func(nth int, _ publish.Event) fate {
		if nth == 500 {
			time.Sleep(stall) // what is under test is time itself
		}
		return fine
	}
	r := runLoad(t, testConfig(), f)
	require.Empty(t, r.Violations)
	require.EqualValues(t, f.shards, r.Pauses.Count, "one of each shard")
	for _, p := range r.Pauses.InOrder() {
		require.GreaterOrEqual(t, p.Length(), stall-50*time.Millisecond)
	}
	require.GreaterOrEqual(t, r.Apply.Quantile(0.99), stall-100*time.Millisecond)
	require.Positive(t, r.Overdue, "the publisher was full, so events were late")
}

// A trace's keys come in the order recorded, again and again.
func TestATraceIsPlayed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace")
	require.NoError(t, os.WriteFile(path, []byte("alice\nbob\nalice\nö\n"), 0o644))
	f := newFake()
	cfg := testConfig()
	cfg.Keys = 0
	require.NoError(t, cfg.Distribution.UnmarshalText([]byte("file:"+path)))
	r := runLoad(t, cfg, f)
	require.Empty(t, r.Violations)
	closing := r.Sent - 1000
	require.InDelta(t, 500, f.states["load-t-alice"].Count, float64(closing))
	require.InDelta(t, 250, f.states["load-t-ö"].Count, float64(closing))
	require.Len(t, f.states, 3)

	cfg.Keys = 4
	_, err := New(cfg, asFlagsSay, f, nobody)
	require.ErrorContains(t, err, "keys")
	cfg.Keys = 0
	require.NoError(t, os.Remove(path))
	_, err = New(cfg, asFlagsSay, f, nobody)
	require.ErrorContains(t, err, "no such file")
}
