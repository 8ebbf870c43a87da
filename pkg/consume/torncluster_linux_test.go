package consume

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/testkit/redisnodes"
	"example.com/lockstep/pkg/topology"
	"github.com/stretchr/testify/require"
)

// moving is shard 0's slot on its way to another master of a cluster.
type moving struct {
	t    *testing.T
	c    *testkit.RedisCluster
	move *redisnodes.Move
	ctx  context.Context
}

// dies kills a master, and returns when its replica serves the slots.
func (m *moving) dies(p redisnodes.Pair) {
	m.t.Helper()
	for _, n := range m.c.Nodes() {
		if n.Addr == p.Master {
			n.Kill()
		}
	}
	require.NoError(m.t, p.AwaitTakeover(m.ctx))
}

func (m *moving) pairOf(master redisnodes.Master) redisnodes.Pair {
	m.t.Helper()
	var addrs []string
	for _, n := range m.c.Nodes() {
		addrs = append(addrs, n.Addr)
	}
	pairs, err := redisnodes.AwaitPairs(m.ctx, addrs, len(m.c.Masters))
	require.NoError(m.t, err)
	for _, p := range pairs {
		if p.Master == master.Addr {
			return p
		}
	}
	require.Fail(m.t, "no replica", master.Addr)
	return redisnodes.Pair{}
}

// A replica receives all but a large bucket before it is cut off. Then its master, to which the slot has moved, dies: the record
// is there, and the bucket is not.
func losesItsBucket(m *moving, r *rig) {
	const size = 48 << 20
	large := fullestBucket(r)
	require.NoError(m.t, r.rdb.HSet(m.ctx, large, "large", strings.Repeat("x", size)).Err())
	pair := m.pairOf(m.move.To)
	keys, err := m.move.Keys(m.ctx)
	require.NoError(m.t, err)
	var others []string
	for _, key := range keys {
		if key != large {
			others = append(others, key)
		}
	}
	require.NoError(m.t, m.move.Begin(m.ctx))
	require.NoError(m.t, m.move.Migrate(m.ctx, others...))
	require.NoError(m.t, m.move.AwaitCopied(m.ctx, pair.Replica, m.move.From, int64(len(others))))
	require.NoError(m.t, pair.Cut(m.ctx))
	require.NoError(m.t, m.move.End(m.ctx))
	require.NoError(m.t, m.move.AwaitCopied(m.ctx, pair.Replica, m.move.To, int64(len(others))))
	m.dies(pair)
}

// The record moves alone, and the source's replica deletes it. Then the source dies: the buckets are there, and the record is not.
func losesItsRecord(m *moving, _ *rig) {
	pair := m.pairOf(m.move.From)
	keys, err := m.move.Keys(m.ctx)
	require.NoError(m.t, err)
	require.NoError(m.t, m.move.Begin(m.ctx))
	require.NoError(m.t, m.move.Migrate(m.ctx, recordKey))
	require.NoError(m.t, m.move.AwaitCopied(m.ctx, pair.Replica, m.move.From, int64(len(keys)-1)))
	m.dies(pair)
	require.NoError(m.t, m.move.Abandon(m.ctx))
}

// A master of a Redis Cluster dies while a slot moves, and the slot is torn. It is emptied and filled by a replay; but if messages
// that made it are purged, its shard stops, and nothing of the slot is touched.
func TestSlotTornByAMove(t *testing.T) {
	t.Cleanup(func() { eventually(t, func() bool { return !dialing() }, "a client dials a dead server") })
	for name, tear := range map[string]func(*moving, *rig){"bucket": losesItsBucket, "record": losesItsRecord} {
		for _, purged := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, purged %v", name, purged), func(t *testing.T) {
				t.Parallel()
				tornByAMove(t, tear, purged)
			})
		}
	}
}

// dialing tells whether a client dials a server again and again: after its end it goes on for up to a second.
func dialing() bool {
	stacks := make([]byte, 8<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "internal/pool.(*ConnPool).tryDial")
}

func tornByAMove(t *testing.T, tear func(*moving, *rig), purged bool) {
	c := testkit.StartRedisCluster(t, 3, 3)
	rdb, err := redisconn.Connect("redis", c.URL(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { redisconn.Close(rdb) })
	r := newRigWith(t, 2, rdb, testkit.NATS(t), 1)
	w := r.start()
	for i := range 40 {
		r.send(i%2, fmt.Sprint(i%2, i%5))
	}
	r.applied()
	if purged {
		require.NoError(t, topology.RecordPurge(background, r.js, r.kv, 1, 0, topology.Purged{First: 20, Shards: map[int]uint64{0: 19, 1: 18}}))
		r.purge(20)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m := &moving{t: t, c: c, ctx: ctx}
	m.move, err = redisnodes.NewMove(ctx, c.Masters[0].Addr, recordKey, func(others []redisnodes.Master) redisnodes.Master { return others[0] })
	require.NoError(t, err)
	tear(m, r)
	r.send(0, "0 0")
	r.send(1, "1 0")
	if !purged {
		r.applied()
		require.Contains(t, w.log.String(), "shard's slot was torn and is emptied")
		return
	}
	eventually(t, func() bool { return strings.HasPrefix(w.shard(0).State, stateStopped) }, "not stopped")
	require.Contains(t, w.shard(0).State, "accept-gap 0")
	left := 0
	for kind := range 16 {
		for _, key := range []string{fmt.Sprintf("{app:0}:state:%d", kind), fmt.Sprintf("{app:0}:aside:%d", kind)} {
			left += int(r.rdb.Exists(ctx, key).Val())
		}
	}
	left += int(r.rdb.Exists(ctx, recordKey).Val())
	require.Equal(t, 32, left, "all that the tear has left")
}
