package consume

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/topology"
	"github.com/stretchr/testify/require"
)

// write writes the topology's entry.
func (r *rig) write(change func(*topology.Topology)) {
	r.t.Helper()
	top := r.topo
	change(&top)
	b, err := json.Marshal(top)
	require.NoError(r.t, err)
	_, err = r.kv.Put(background, "topology", b)
	require.NoError(r.t, err)
}

// restore writes the topology again as it was.
func (r *rig) restore() { r.write(func(*topology.Topology) {}) }

func future(t *topology.Topology) { t.Needs = topology.Format + 1 }

// keyOf returns a key of a shard by the ring: queries look for states there.
func (r *rig) keyOf(shard int) string {
	r.t.Helper()
	ring, err := r.topo.Current().Ring()
	require.NoError(r.t, err)
	for i := 0; ; i++ {
		if key := fmt.Sprint("key-", i); ring.Shard(key) == shard {
			return key
		}
	}
}

// leases are the keys of the leases that are held.
func (r *rig) leases() []string {
	r.t.Helper()
	keys, err := r.rdb.Keys(background, "app:lease:*").Result()
	require.NoError(r.t, err)
	return keys
}

// withJanitor makes a worker clean the log too.
func (r *rig) withJanitor(c *Config) {
	locker, err := lease.New(lease.Config{App: "app"}, r.rdb)
	require.NoError(r.t, err)
	c.JanitorEvery = 10 * time.Millisecond
	c.JanitorLease = func(ctx context.Context) (*lease.Lease, error) { return locker.TryNamed(ctx, "janitor") }
}

// A worker under a topology that it does not follow owns nothing and says why, and begins again when its own is back.
func TestWorkerUnderAnotherTopology(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*topology.Topology)
		says   string
	}{
		"from the future": {future, "the topology cannot be read: it needs format 2, and this version knows 1: upgrade this program"},
		"of an unknown schema": {func(t *topology.Topology) { t.Schema++ },
			"the topology cannot be read: schema 3 is not known to this version (it knows 2): upgrade this program"},
		"of another shape": {func(t *topology.Topology) { t.Epochs = nil }, "the topology cannot be read: it has no epochs: if a newer version wrote it"},
		"of other shards": {func(t *topology.Topology) { t.Epochs = []topology.Epoch{{Epoch: 1, Shards: 3, Lanes: 1}} },
			"the topology has epoch 1 with 3 shards, this worker follows epoch 1 with 2 shards: restart it"},
		"with another id": {func(t *topology.Topology) { t.ID = "another" }, "another topology has replaced ours: ours is "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 2)
			w, client := r.start(r.withJanitor), query.NewClient(r.nats.Conn, "app")
			key := r.keyOf(0)
			r.send(0, key)
			r.send(1, "b")
			r.applied()
			eventually(t, func() bool { return len(r.leases()) == 3 }, "two shards and the janitor")
			r.restore() // it is equal: nothing happens
			for range 2 {
				r.write(c.change)
				eventually(t, func() bool { return len(r.leases()) == 0 }, "leases are held")
				require.ErrorContains(t, w.Ready(), c.says)
				require.Contains(t, w.status().Away, c.says)
				eventually(t, func() bool { return len(w.status().Shards) == 0 && len(w.group.Members()) == 0 }, "its place in the group")
				r.send(0, key)

				asking, cancel := context.WithTimeout(background, time.Second)
				_, err := client.States(asking, []string{key})
				cancel()
				require.ErrorContains(t, err, "this worker owns no shards: ")
				positions, err := client.Positions(background)
				require.NoError(t, err)
				require.Len(t, positions, 2)
				require.Equal(t, len(r.want[key])-1, len(r.state(key)), "nothing is applied")

				r.restore()
				r.applied()
				eventually(t, func() bool { return w.Ready() == nil && len(r.leases()) == 3 }, "begins again")
				require.Empty(t, w.status().Away)
				states, err := client.States(background, []string{key})
				require.NoError(t, err)
				require.True(t, states[0].Found)
			}
			require.Equal(t, 2, w.log.count(`msg="worker has let its shards go and takes none until its topology is back"`))
			require.Equal(t, 2, w.log.count(`msg="the topology is back: worker takes shards again"`))
			require.Zero(t, w.metric("leases_lost_total"))
		})
	}
}

// Events may have been acknowledged in a newer epoch: a worker does not go back to an older topology without a restart.
func TestWorkerStaysAwayAfterANewerEpoch(t *testing.T) {
	r := newRig(t, 1)
	w := r.start()
	r.send(0, "a")
	r.applied()
	r.write(func(t *topology.Topology) { t.Epochs = []topology.Epoch{{Epoch: 2, Shards: 1, Lanes: 1}} })
	eventually(t, func() bool { return len(r.leases()) == 0 }, "its lease")
	r.restore()
	eventually(t, func() bool { return strings.Contains(w.log.String(), "received an older topology") }, "not told of the older one")
	require.ErrorContains(t, w.Ready(), "the topology has epoch 2 with 1 shards, this worker follows epoch 1 with 1 shards: restart it")
	require.Empty(t, r.leases())
	require.NoError(t, w.Stop(background))
	r.start()
	r.send(0, "a")
	r.applied()
}

// The handler's context ends: a worker does not finish what it has begun under a topology that it cannot read, for that may take
// minutes.
func TestHandlerIsCancelledUnderATopologyFromTheFuture(t *testing.T) {
	r := newRig(t, 1)
	began := make(chan struct{})
	w := r.start(handler(Typed(func(ctx context.Context, _ *ids, _ Event) error {
		select {
		case began <- struct{}{}:
		default:
		}
		<-ctx.Done()
		return ctx.Err()
	})))
	r.send(0, "a")
	<-began
	r.write(future)
	eventually(t, func() bool { return len(r.leases()) == 0 }, "its lease")
	require.Zero(t, w.metric("handler_failures_total"), "it is not the handler's failure")
	require.NoError(t, w.Stop(background))
	r.restore()
	r.start()
	r.applied()
}

// A worker whose topology cannot be read does not start.
func TestStartUnderATopologyFromTheFuture(t *testing.T) {
	r := newRig(t, 1)
	r.write(future)
	require.ErrorIs(t, r.worker().Start(background), topology.ErrUnreadable)
	require.Empty(t, r.leases())
}

// Among workers of two versions those that can read the topology take the shards of those that cannot.
func TestShardsGoToWorkersThatReadTheTopology(t *testing.T) {
	r := newRig(t, 4)
	old, fresh := r.start(), r.start()
	eventually(t, func() bool { return len(old.status().Shards) == 2 && len(fresh.status().Shards) == 2 }, "both work")
	old.goAway(topology.ErrUnreadable) // as for an entry that only the other one can read
	eventually(t, func() bool { return len(fresh.status().Shards) == 4 && fresh.Ready() == nil }, "the other one has all")
	for shard := range 4 {
		r.send(shard, r.keyOf(shard))
	}
	r.applied()
	for range 10 {
		states, err := query.NewClient(r.nats.Conn, "app").States(background, []string{r.keyOf(3)})
		require.NoError(t, err)
		require.True(t, states[0].Found, "it is the other one that answers")
	}
}
