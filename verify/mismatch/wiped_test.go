package mismatch

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/topology"
)

// shortHistory lets the janitor purge almost everything that is committed.
var shortHistory = []string{"--history-age=1s", "--history-bytes=1KiB"}

// The store is wiped after the janitor has purged events that it would need again. Every shard stops and applies nothing
// until an operator accepts the gap.
func testWipedStore(t *testing.T, bin string) {
	r := up(t, bin, bin, shortHistory...)
	r.someLoad()
	r.awaitPurged()
	require.NoError(t, r.rdb.FlushAll(context.Background()).Err())
	const why = "the next messages were purged, as the store had them once"
	r.awaitStopped(why)

	r.restartWorkers()
	r.awaitStopped(why)
	r.requireNothingApplied()

	code, out := r.acceptGap(0)
	require.Zero(t, code, out)
	code, out = r.acceptGap(0)
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "worker: shard 0: there is no gap: nothing was changed")
	for n := 1; n < shards; n++ {
		code, out = r.acceptGap(n)
		require.Zero(t, code, out)
		require.Regexp(t, `^shard \d had committed up to message 0; messages 1 to \d+ are gone; it goes on behind them\n`, out)
	}
	r.awaitRunning()
	r.someLoad()
}

// awaitPurged waits until the janitor has purged messages of every shard.
func (r *rig) awaitPurged() {
	r.t.Helper()
	kv, err := r.js.KeyValue(r.t.Context(), topology.Bucket(app, "topology"))
	require.NoError(r.t, err)
	r.eventually(func() bool {
		purged, err := topology.LoadPurged(r.t.Context(), r.js, kv, 1, 0)
		require.NoError(r.t, err)
		stream, err := r.js.Stream(r.t.Context(), topology.StreamName(app, 1, 0))
		require.NoError(r.t, err)
		all := purged.First > 1 && stream.CachedInfo().State.FirstSeq == purged.First
		for n := range shards {
			all = all && purged.Shards[n] > 0
		}
		return all
	}, "the janitor purges nothing")
}

// requireNothingApplied requires that the store is still empty.
func (r *rig) requireNothingApplied() {
	r.t.Helper()
	for n, p := range r.positions() {
		require.Contains(r.t, []string{"", "0:0:0"}, p, "shard %d", n)
	}
	buckets, err := r.rdb.Keys(context.Background(), "{"+app+":*}:state:*").Result()
	require.NoError(r.t, err)
	for _, bucket := range buckets {
		require.EqualValues(r.t, 1, r.rdb.HLen(context.Background(), bucket).Val(), "%s has more than its marker", bucket)
	}
}
