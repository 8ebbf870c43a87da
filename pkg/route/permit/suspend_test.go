package permit

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// write writes the topology's entry.
func (r *router) write(t testing.TB, top topology.Topology) {
	b, err := json.Marshal(top)
	require.NoError(t, err)
	put(t, r.kv, "topology", string(b))
}

// A router that receives a topology from the future lets its permit go at once. A topology that it can read brings the permit
// back, in another term, though the router was not restarted.
func TestPermitUnderATopologyFromTheFuture(t *testing.T) {
	t.Parallel()
	n := testkit.NATS(t)
	var log testkit.Log
	r := newRouter(t, n, log.Logger()).start(t)
	now := r.watcher.Current()
	future := now
	future.Needs = topology.Format + 1
	const lets = `level=ERROR msg="router has let its permit go and acknowledges nothing until the topology can be read" error="the topology cannot be read: it needs format 2, and this version knows 1: upgrade this program"`
	for round := range uint64(3) {
		r.awaitTerm(t, round+1)
		r.write(t, future)
		require.Eventually(t, func() bool {
			_, err := r.entry(t) // an entry that only expires stays
			_, valid := r.Valid()
			return errors.Is(err, jetstream.ErrKeyNotFound) && !valid
		}, patience, time.Millisecond)
		require.Equal(t, int(round)+1, log.Count(lets), "%s", &log)

		// It stays so, over a watch that begins anew too.
		testkit.KillConsumers(t, n.Conn, bucketStream(r.kv))
		require.Eventually(t, func() bool { return log.Count("bucket watch restored") == int(round)+1 }, patience, time.Millisecond)
		_, err := r.entry(t)
		require.ErrorIs(t, err, jetstream.ErrKeyNotFound)
		_, valid := r.Valid()
		require.False(t, valid)
		r.write(t, now)
	}
	r.awaitTerm(t, 4)
	require.Equal(t, 3, log.Count("the topology can be read again: router takes a permit anew"))
}

// A renewal that was under way when the topology came must not count: it does not say that this router has read the topology.
func TestSuspendedPermitDoesNotComeBack(t *testing.T) {
	r := newRouter(t, testkit.NATS(t), quiet).start(t)
	future := r.watcher.Current()
	future.Needs = topology.Format + 1
	r.write(t, future)
	require.Eventually(t, func() bool { _, err := r.entry(t); return errors.Is(err, jetstream.ErrKeyNotFound) }, patience, time.Millisecond)
	r.mu.Lock()
	r.sent[99] = r.now()
	r.mu.Unlock()
	put(t, r.kv, topology.PermitKey("a"), `{"schema":1,"renewal":99,"epoch":1}`)
	require.Eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		_, waits := r.sent[99]
		return !waits
	}, patience, time.Millisecond)
	_, valid := r.Valid()
	require.False(t, valid)
}
