package consume

import (
	"log/slog"
	"strings"
	"testing"

	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/testkit/redisnodes"
	"github.com/stretchr/testify/require"
)

// A shard whose slot is being moved to another node of a cluster waits, and says so. Its events are applied when the slot has been
// moved, and no other shard waits.
func TestSlotOnTheMove(t *testing.T) {
	cluster := testkit.StartRedisCluster(t, 3, 0)
	rdb, err := redisconn.Connect("redis", cluster.URL(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { redisconn.Close(rdb) })
	r := newRigWith(t, 4, rdb, testkit.NATS(t), 1)
	w := r.start()
	for shard := range r.shards {
		r.send(shard, "a"+string(rune('0'+shard)))
	}
	r.applied()

	const record = "{app:0}:record"
	move, err := redisnodes.NewMove(t.Context(), cluster.Masters[0].Addr, record, func(others []redisnodes.Master) redisnodes.Master { return others[0] })
	require.NoError(t, err)
	require.NoError(t, move.Begin(t.Context()))
	r.send(0, "a0")
	r.applied()
	require.NoError(t, move.Migrate(t.Context(), record))
	r.send(0, "a0")
	eventually(t, func() bool {
		return w.shard(0).State == "waiting for the store: its slot is being moved to another Redis node"
	}, "its state")
	require.Contains(t, w.Stuck(), "its slot is being moved")
	for shard := 1; shard < r.shards; shard++ {
		end := r.send(shard, "b"+string(rune('0'+shard)))
		eventually(t, func() bool { return w.shard(shard).Seq == end }, "shard %d waits", shard)
	}
	require.NoError(t, move.End(t.Context()))
	r.applied()
	eventually(t, func() bool { return w.shard(0).State == stateRunning }, "its state")
	require.Equal(t, 1, w.log.count("shard waits for the store"))
	require.Equal(t, 1, w.log.count("shard no longer waits for the store"))
	require.False(t, strings.Contains(w.log.String(), "not committed"), "it is no failure")
}
