package consume

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/topology"
	"github.com/stretchr/testify/require"
)

// Handlers see a fence that only grows, whichever worker owns the shard.
func TestZombiesCannotHurt(t *testing.T) {
	r := newRig(t, 1)
	var mu sync.Mutex
	fences := make(map[string]uint64) // by owner
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	claims, err := topology.OpenBucket(ctx, r.js, "app", "claims", 1)
	require.NoError(t, err)
	var owners sync.WaitGroup
	var workers []*tester
	for i := range 2 {
		name := fmt.Sprint(i)
		w := r.worker(handler(Typed(func(_ context.Context, s *ids, ev Event) error {
			mu.Lock()
			defer mu.Unlock()
			if ev.Fence < fences[name] {
				t.Errorf("owner %s: fence %d after %d", name, ev.Fence, fences[name])
			}
			fences[name] = ev.Fence
			*s = append(*s, ev.ID())
			return nil
		})))
		w.topology, w.kv, w.store = r.topo, r.kv, r.store()
		w.receipts = startReceipts(w.nc.Publish, "app", w.cfg.Log)
		workers = append(workers, w)
		// Both own the shard all the time, as if the leases were no leases.
		owners.Go(func() {
			w.own(ctx, group.Ownership{Shard: 0, Stop: make(chan struct{}), Announce: func(ctx context.Context) (uint64, error) {
				return claims.Put(ctx, "shard.0", []byte("{}"))
			}, Confirm: func(ctx context.Context, revision uint64) (uint64, error) {
				return claims.Update(ctx, "shard.0", []byte("{}"), revision)
			}})
		})
	}
	for i := range 300 {
		r.send(0, fmt.Sprint(i%10), "all")
	}
	r.applied()
	// Each takes the shard from the other, again and again.
	for range 10 {
		before := r.shardFence(0)
		r.send(0, "all")
		r.applied()
		eventually(t, func() bool { r.send(0, "all"); return r.shardFence(0) > before }, "one of them has stopped")
	}
	r.applied()
	require.NotZero(t, workers[0].metric("stale_total")+workers[1].metric("stale_total"))
	cancel()
	owners.Wait()
	for _, w := range workers {
		w.closing.Wait()
		w.receipts.stop()
		w.receipts = nil
	}
}

// granting is a Locker that always grants.
type granting struct{}

type granted struct{}

// Without leases, shards change hands between workers that come and go, and no state is wrong.
func TestWithoutLeases(t *testing.T) {
	r := newRig(t, 4)
	unlocked := func(c *Config) { c.Locker = granting{} }
	r.start(unlocked)
	for i := range 120 {
		r.send(i%4, fmt.Sprintf("%d-%d", i%4, i%3))
		if i%40 == 10 {
			w := r.start(unlocked)
			r.send(0, "0-0")
			eventually(t, w.group.Settled, "not settled")
			defer func() { require.NoError(t, w.Stop(background)) }()
		}
	}
	r.applied()
}
