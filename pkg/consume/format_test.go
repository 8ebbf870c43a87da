package consume

import (
	"testing"

	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

// A later version has written a slot in a format that this one does not know. The shard stops, says which format it is and what
// to do, and writes nothing; the others go on. It runs when the worker knows the format.
func TestSlotFromTheFuture(t *testing.T) {
	r := newRigOn(t, 2, testkit.RedisProcess(t).Addr)
	w := r.start()
	r.send(0, "a")
	r.send(1, "b")
	r.applied()
	eventually(t, func() bool { return w.Ready() == nil }, "ready")

	// As the shard's next owner, of a later version, would do.
	const says = "{app:0}:record needs format 3, this version knows format 2: upgrade this program"
	later := store.NewVersion()
	_, err := r.store().Claim(background, 0, 0, later)
	require.NoError(t, err)
	require.NoError(t, r.rdb.HSet(background, recordKey, "needs", store.Format+1).Err())
	record := r.rdb.HGetAll(background, recordKey).Val()
	r.send(0, "a")
	r.send(1, "b")
	halted(t, w, says)
	eventually(t, func() bool { return len(r.state("b")) == 2 }, "the other shard")
	require.Equal(t, stateRunning, w.shard(1).State)
	require.Contains(t, w.Stuck(), "shard 0: stopped: claim shard 0: the store has another format: "+says)
	require.Equal(t, 1.0, w.metric("shards_stopped"))

	// A worker that starts finds the same, and so does an operator who takes it for a gap.
	require.NoError(t, w.Stop(background))
	w = r.start()
	halted(t, w, says)
	eventually(t, func() bool { return w.shard(1).State == stateRunning }, "the other shard")
	_, err = r.acceptGap(0)
	require.ErrorIs(t, err, store.ErrFormat)
	require.Equal(t, record, r.rdb.HGetAll(background, recordKey).Val(), "nothing is written")

	require.NoError(t, r.rdb.HSet(background, recordKey, "needs", store.Format).Err())
	r.applied()
	eventually(t, func() bool { return w.Ready() == nil && w.Stuck() == "" }, "it goes on")
}

// halted waits until shard 0 has stopped and says why, once in the log.
func halted(t *testing.T, w *tester, says string) {
	t.Helper()
	eventually(t, func() bool {
		return w.shard(0).State == stateStopped+"claim shard 0: the store has another format: "+says
	}, "not stopped: %s", says)
	require.Equal(t, 1, w.log.count("shard stopped until this is mended"))
}
