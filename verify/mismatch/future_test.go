package mismatch

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/topology"
)

// While events flow the topology becomes one that a later version has written. The router acknowledges nothing under it and the
// workers own nothing; both say so, and none starts. What was acknowledged before is applied once the topology is restored, and
// nothing is lost or doubled.
func testTopologyFromTheFuture(t *testing.T, bin string) {
	const why = "the topology cannot be read: it needs format 2, and this version knows 1: upgrade this program"
	r := up(t, bin, bin)
	sent := r.sendEach("before", 20)
	kv, err := r.js.KeyValue(t.Context(), topology.Bucket(app, "topology"))
	require.NoError(t, err)
	now, err := kv.Get(t.Context(), "topology")
	require.NoError(t, err)
	top, err := topology.Decode(now.Value())
	require.NoError(t, err)
	top.Needs = topology.Format + 1
	future, err := json.Marshal(top)
	require.NoError(t, err)
	load := programs.StartLoad(t, bin, r.dir, "--rate=2000", "--events=20000", "--keys=200")
	load.Await(programs.Sending)
	_, err = kv.Put(t.Context(), "topology", future)
	require.NoError(t, err)

	r.eventually(func() bool {
		all, both := r.status()
		for _, w := range all {
			both = both && w.Away == why && len(w.Shards) == 0
		}
		return both
	}, "workers own shards")
	r.eventually(func() bool {
		keys, err := kv.Keys(t.Context())
		require.NoError(t, err)
		return len(keys) == 1
	}, "the router keeps its permit")
	require.Empty(t, r.rdb.Keys(t.Context(), app+":lease:*").Val())
	at := r.positions()
	_, err = r.send("refused", "1")
	require.ErrorContains(t, err, "503: this router has let its permit go: "+why)

	ready := r.readiness()
	require.Len(t, ready, len(workers))
	for name, says := range ready {
		require.Contains(t, says, `"ready":false`, name)
		require.Contains(t, says, why, name)
	}
	code, said := r.run(filepath.Join(bin, "local"), "status", "--dir="+r.dir)
	require.Equal(t, 1, code, "it is incomplete: %s", said)
	require.Contains(t, said, "app "+app+", whose topology is not known\n")
	require.Contains(t, said, "\nwarning: worker-1, worker-2 may own no shards: "+why+"\n")
	require.Contains(t, said, "\nnot known: read the topology: "+why+"\n")
	r.requireRefused(t, why, filepath.Join(bin, "router"), "--nats="+r.File().NATS)
	r.requireRefused(t, why, filepath.Join(bin, "worker"), "--nats="+r.File().NATS, "--redis="+r.File().Redis)
	require.Equal(t, at, r.positions(), "nothing is applied")

	_, err = kv.Put(t.Context(), "topology", now.Value())
	require.NoError(t, err)
	load.Passed()
	r.awaitRunning()
	r.eventually(func() bool { return len(r.readiness()) == 0 }, "not ready")
	r.requireCounts(sent, 1)
	r.someLoad()
	for _, name := range append(workers, "router-1") { // rounds that were under way name it too, as warnings
		said := 0
		for line := range strings.Lines(r.log(name)) {
			if strings.Contains(line, "level=ERROR") && strings.Contains(line, why) {
				said++
			}
		}
		require.Equal(t, 1, said, name)
	}
}
