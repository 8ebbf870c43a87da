package mismatch

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/status"
	"example.com/lockstep/pkg/topology"
)

// An operator looks at the status when a part is broken: the status must still show the others.
func testStatus(t *testing.T, bin string) {
	r := up(t, bin, bin)
	ask := func() status.Report {
		t.Helper()
		s, err := status.Ask(t.Context(), r.File().NATS, app)
		require.NoError(t, err)
		return s
	}
	require.Empty(t, ask().Faults)

	require.NoError(t, r.rdb.Set(t.Context(), record(2), "no hash", 0).Err())
	s := ask()
	require.Empty(t, s.Faults)
	require.Len(t, s.Positions, shards)
	for _, p := range s.Positions {
		if p.Shard == 2 {
			require.Contains(t, p.Error, "WRONGTYPE")
		} else {
			require.Empty(t, p.Error)
			require.NotZero(t, p.Fence)
		}
	}

	kv, err := r.js.KeyValue(t.Context(), topology.Bucket(app, "topology"))
	require.NoError(t, err)
	require.NoError(t, kv.Delete(t.Context(), "topology"))
	s = ask()
	require.Len(t, s.Faults, 1)
	require.ErrorContains(t, s.Faults[0], "read the topology")
	require.Len(t, s.Positions, shards)
	require.Len(t, s.Workers, len(workers))

	require.NoError(t, r.js.DeleteStream(t.Context(), "KV_"+topology.Bucket(app, "topology")))
	_, err = r.js.KeyValue(t.Context(), topology.Bucket(app, "topology"))
	require.ErrorIs(t, err, jetstream.ErrBucketNotFound)
	s = ask()
	require.NotEmpty(t, s.Faults)
	require.Len(t, s.Positions, shards)
	require.Len(t, s.Workers, len(workers))
}
