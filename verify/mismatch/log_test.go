package mismatch

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/deployments/local/stack"
	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/topology"
)

// anew is the reason that a shard gives when the log is not the one it has read.
const anew = "the log lost its tail or was made anew"

// The log is replaced by another one of the same name, which has grown past the shards' positions: by sequences alone the
// shards would go on.
func testAnotherLog(t *testing.T, bin string) {
	r := up(t, bin, bin)
	before := r.sendEach("first", 40)
	r.requireCounts(before, 1)
	for _, c := range []struct {
		name  string
		makes func(r *rig) (sent []string)
	}{
		{"made anew while workers run", func(r *rig) []string {
			r.makeAnew()
			return r.sendEach("running", 80)
		}},
		{"made anew while workers are down", func(r *rig) []string {
			var releases []func()
			for _, name := range workers {
				releases = append(releases, r.hold(name))
				r.end(name, syscall.SIGTERM)
			}
			r.makeAnew()
			sent := r.sendEach("down", 120)
			for _, release := range releases {
				release()
			}
			return sent
		}},
		{"its tail lost while workers are connected", func(r *rig) []string {
			lost, sent := r.loseTail(80)
			before = append(before, lost...) // they stay applied once
			return sent
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := r.in(t)
			sent := c.makes(r)
			r.awaitStopped(anew)
			at := r.positions()
			r.restartWorkers()
			r.awaitStopped(anew)
			require.Equal(t, at, r.positions(), "nothing is committed meanwhile")
			require.Equal(t, make([]uint64, len(sent)), r.counts(sent), "nor applied")

			r.acceptGaps("which is not in its log; it goes on behind message ")
			r.requireCounts(sent, 1)
			r.requireCounts(before, 1)
			before = append(before, sent...)
		})
	}
	r.someLoad()
}

// makeAnew deletes the log and creates it again with its settings.
func (r *rig) makeAnew() {
	r.t.Helper()
	name := topology.StreamName(app, 1, 0)
	stream, err := r.js.Stream(r.t.Context(), name)
	require.NoError(r.t, err)
	require.NoError(r.t, r.js.DeleteStream(r.t.Context(), name))
	_, err = r.js.CreateStream(r.t.Context(), stream.CachedInfo().Config)
	require.NoError(r.t, err)
}

// loseTail restores NATS as it was n events ago and lets it grow past its former end. The workers are paused meanwhile, with
// their connections open, so that none can look. It returns the keys of the lost events and of the new ones.
func (r *rig) loseTail(n int) (lost, sent []string) {
	r.t.Helper()
	store, older := filepath.Join(r.dir, stackdir.NATSDir), filepath.Join(r.t.TempDir(), "older")
	r.withoutNATS(func() { require.NoError(r.t, os.CopyFS(older, os.DirFS(store))) })
	r.awaitRunning()
	lost = r.sendEach("lost", n)
	r.requireCounts(lost, 1)

	for _, worker := range workers {
		_, err := r.Signal(worker, syscall.SIGSTOP)
		require.NoError(r.t, err)
		defer r.Signal(worker, syscall.SIGCONT)
	}
	r.withoutNATS(func() {
		require.NoError(r.t, os.RemoveAll(store))
		require.NoError(r.t, os.CopyFS(store, os.DirFS(older)))
	})
	return lost, r.sendEach("tail", 2*n)
}

// withoutNATS calls do while NATS is down.
func (r *rig) withoutNATS(do func()) {
	r.t.Helper()
	release := r.hold(stack.NATS)
	defer release()
	p := r.end(stack.NATS, syscall.SIGTERM)
	do()
	release()
	ctx, cancel := context.WithTimeout(r.t.Context(), programs.Patience)
	defer cancel()
	require.NoError(r.t, r.AwaitReady(ctx, stack.NATS, p))
}
