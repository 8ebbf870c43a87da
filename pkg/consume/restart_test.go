package consume

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
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

// While the store is away a worker waits for it, and goes on from where it was.
func TestRedisRestart(t *testing.T) {
	server := testkit.RedisProcess(t, testkit.WithAOF())
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

// unsure is a store whose first commits happen, and then return an error, as if the answer had been lost.
type unsure struct {
	store.Store
	left *atomic.Int64 // commits whose answer is lost
}

func (u unsure) Commit(ctx context.Context, c *store.Commit) error {
	if err := u.Store.Commit(ctx, c); err != nil {
		return err
	}
	if u.left.Add(-1) >= 0 {
		return errors.New("the answer is lost")
	}
	return nil
}

// A commit whose outcome is not known is repeated until it is. It may have happened: then it is not made again, and the
// shard is still its owner's.
func TestCommitOfUnknownOutcomeIsRepeated(t *testing.T) {
	r := newRig(t, 1)
	var left atomic.Int64
	left.Store(4)
	w := r.calm(func(c *Config) {
		c.Store = func(id string) store.Store { return unsure{redisstore.New(r.rdb, "app", id), &left} }
	})
	r.send(0, "a", "b", "a")
	eventually(t, func() bool { return left.Load() < 0 }, "not repeated")
	require.Contains(t, w.log.String(), "not committed; trying again")
	r.send(0, "b", "a")
	r.applied() // each event once
	eventually(t, func() bool { return w.metric("events_applied_total") == 5 }, "metric")
	require.Zero(t, w.metric("stale_total"), "its own commit is no other owner's")
}
