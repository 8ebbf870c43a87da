package consume

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

func TestWorkerResumesAtThePosition(t *testing.T) {
	r := newRig(t, 1)
	receipts := r.receipts()
	w := r.start()
	for i := range 20 {
		r.send(0, fmt.Sprint(i%3))
	}
	r.applied()
	require.NoError(t, w.Stop(background))
	fence := r.shardFence(0)
	for i := range 20 {
		r.send(0, fmt.Sprint(i%3))
	}
	w = r.start()
	r.applied()
	eventually(t, func() bool { return w.metric("events_applied_total") == 20 }, "metric")
	require.Zero(t, w.metric("events_duplicate_total"), "it began behind the position")
	require.Greater(t, w.shard(0).Fence, fence)
	eventually(t, func() bool { return len(receipts()) == 40 }, "receipts")
}

func (r *rig) shardFence(shard int) uint64 {
	shards, err := r.store().Shards(background, r.shards)
	require.NoError(r.t, err)
	return shards[shard].Fence
}

// The last owner may have died between its commit and its receipts.
func TestReceiptsOfTheLastRoundAreSentAgain(t *testing.T) {
	r := newRig(t, 1)
	w := r.start()
	r.send(0, "a", "b")
	r.applied()
	require.NoError(t, w.Stop(background))
	receipts := r.receipts()
	r.start()
	eventually(t, func() bool { return len(receipts()) == 2 }, "receipts")
	require.Len(t, r.state("a"), 1)
}

// The store forgets everything while workers work: they replay the log, and come to the same states.
func TestFlushedStoreIsFilledFromTheLog(t *testing.T) {
	r := newRig(t, 4)
	r.start()
	r.start()
	for i := range 100 {
		r.send(i%4, fmt.Sprintf("%d-%d", i%4, i%7))
		if i == 50 {
			eventually(t, func() bool { return r.position(3) > 20 }, "no progress")
			require.NoError(t, r.rdb.FlushAll(background).Err())
		}
	}
	r.applied()
}

func TestNATSRestart(t *testing.T) {
	r := newRig(t, 4)
	w := r.start()
	for i := range 40 {
		r.send(i%4, fmt.Sprint(i%4))
	}
	r.applied()
	r.nats.Stop()
	eventually(t, func() bool { return !w.nc.IsConnected() && !r.nats.Conn.IsConnected() }, "still connected")
	r.nats.Start(t)
	eventually(t, func() bool { return w.nc.IsConnected() && r.nats.Conn.IsConnected() }, "not connected")
	back := time.Now()
	for i := range 40 {
		r.send(i%4, fmt.Sprint(i%4))
	}
	r.applied()
	eventually(t, func() bool { return w.Ready() == nil }, "ready")
	require.Less(t, time.Since(back), 3*time.Second, "what was asked when the server went is asked again at once")
}

// A commit whose outcome is not known is repeated until it is.
func TestRedisRestart(t *testing.T) {
	server := testkit.RealRedis(t, testkit.WithAOF())
	r := newRigOn(t, 2, server.Addr)
	w := r.start()
	r.send(0, "a")
	r.applied()
	server.Stop()
	for i := range 20 {
		r.send(i%2, fmt.Sprint("k", i%2))
	}
	eventually(t, func() bool { return strings.Contains(w.log.String(), "trying again") }, "not noticed")
	server.Start(t)
	r.applied()
}
