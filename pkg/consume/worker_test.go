package consume

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// receipts are those of publisher 1, as they come.
func (r *rig) receipts() func() map[uint64]int {
	r.t.Helper()
	sub, err := r.nats.Conn.SubscribeSync(topology.ReceiptSubject("app", frame.PublisherID{1}.String()))
	require.NoError(r.t, err)
	require.NoError(r.t, r.nats.Conn.Flush())
	got := make(map[uint64]int)
	return func() map[uint64]int {
		for {
			m, err := sub.NextMsg(time.Millisecond)
			if err != nil {
				return got
			}
			var receipt frame.Receipt
			require.NoError(r.t, receipt.Decode(m.Data))
			require.Equal(r.t, uint64(1), receipt.Generation)
			for _, seq := range receipt.Seqs {
				got[seq]++
			}
		}
	}
}

func TestWorkerAppliesDropsAndTells(t *testing.T) {
	r := newRig(t, 2)
	receipts := r.receipts()
	first := batch(one(1, "a"), one(2, "b"))
	r.seq = 2
	id := frame.PublisherID{1}.String()
	r.want["a"], r.want["b"] = []string{id + "-1"}, []string{id + "-2"}
	r.put(0, first, nil)
	r.put(0, first, nil) // a router's copy
	w := r.start()
	r.send(0, "a", "a")
	r.send(1, "c")
	seq := r.put(1, []byte("5"), nats.Header{frame.HeaderKind: {frame.KindEvent}, frame.HeaderKey: {"plain key"}})
	r.want["plain key"] = []string{fmt.Sprintf("1-1-%d", seq)}
	r.applied()
	eventually(t, func() bool { return len(receipts()) == 5 }, "receipts")
	for seq, n := range receipts() {
		require.Equal(t, 1, n, "receipts of seq %d", seq)
	}
	eventually(t, func() bool { return w.metric("events_applied_total") == 6 }, "metric")
	require.Equal(t, 2.0, w.metric("events_duplicate_total"))
	require.Zero(t, w.metric("handler_failures_total"))
	eventually(t, func() bool { return w.Ready() == nil }, "ready")
	require.Equal(t, seq, w.shard(1).Seq)
	require.Equal(t, "running", w.shard(1).State)
	require.Zero(t, w.shard(1).Lag)
}

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

func TestFailingHandlerHoldsItsShardOnly(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errRefused },
		"panic": func() error { panic("the handler panicked") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2)
			var mu sync.Mutex
			seen := make(map[string]int)
			mended := make(chan struct{})
			w := r.start(handler(collect(func(ev Event) error {
				mu.Lock()
				defer mu.Unlock()
				if ev.Key != "bad" {
					return nil
				}
				seen[ev.ID()]++
				select {
				case <-mended:
					return nil
				default:
					return fail()
				}
			})))
			r.send(0, "a", "bad", "a")
			r.send(0, "bad", "b")
			r.send(1, "c")
			eventually(t, func() bool { return w.metric("handler_failures_total") >= 3 }, "not tried again")
			eventually(t, func() bool { return len(r.state("c")) == 1 }, "the other shard")
			require.Len(t, r.state("a"), 1, "what comes before it is committed")
			require.Empty(t, r.state("b"))
			require.Equal(t, 1.0, w.metric("shards_retrying"))
			require.Equal(t, stateRetrying, w.shard(0).State)
			require.ErrorContains(t, w.Ready(), "shard 0: retrying")
			require.NotZero(t, w.shard(0).Lag)
			close(mended)
			r.applied()
			eventually(t, func() bool { return w.Ready() == nil }, "ready")
			require.Zero(t, w.metric("shards_retrying"))
			require.Contains(t, w.log.String(), "handler failed")
			require.Len(t, seen, 2, "an id is the same on every attempt")
		})
	}
}

// Handlers see a fence that only grows, whoever owns the shard.
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
		w.topology, w.store = r.topo, r.store()
		workers = append(workers, w)
		// Both own the shard all the time, as if the leases were no leases.
		owners.Go(func() {
			w.own(ctx, group.Ownership{Shard: 0, Stop: make(chan struct{}), Announce: func(ctx context.Context) (uint64, error) {
				return claims.Put(ctx, "shard.0", []byte("{}"))
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
}

// granting is a Locker that always grants.
type granting struct{}

type granted struct{}

func (granting) Try(context.Context, int) (group.Lease, error) { return granted{}, nil }
func (granting) Unlock(context.Context, int, string) error     { return nil }
func (granted) Value() string                                  { return "x" }
func (granted) Context() context.Context                       { return background }
func (granted) Release(context.Context) error                  { return nil }

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

func TestSoftStopCommitsTheRound(t *testing.T) {
	r := newRig(t, 1)
	begun, finish := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w := r.start(handler(collect(func(Event) error {
		once.Do(func() { close(begun); <-finish })
		return nil
	})))
	r.send(0, "a")
	<-begun
	next := r.start()
	stopped := make(chan error)
	go func() { stopped <- w.Stop(background) }()
	eventually(t, func() bool { return len(next.group.Members()) == 1 }, "not signed off")
	require.Empty(t, r.state("a"))
	require.Error(t, w.Ready())
	close(finish)
	require.NoError(t, <-stopped)
	require.Len(t, r.state("a"), 1)
	r.send(0, "b")
	began := time.Now()
	r.applied()
	require.Less(t, time.Since(began), 2*time.Second, "handed over at once")
	require.Empty(t, w.status().Shards)
}

func TestHardStopCancelsAHandlerThatHangs(t *testing.T) {
	r := newRig(t, 1)
	hanging := make(chan struct{})
	w := r.start(handler(Typed(func(ctx context.Context, _ *ids, _ Event) error {
		close(hanging)
		<-ctx.Done()
		return ctx.Err()
	})))
	r.send(0, "a")
	<-hanging
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, w.Stop(ctx), context.DeadlineExceeded)
	require.Zero(t, w.metric("handler_failures_total"), "it is not the handler's failure")
	r.start()
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

func TestStartRefuses(t *testing.T) {
	t.Run("the store of another topology", func(t *testing.T) {
		r := newRig(t, 1)
		require.NoError(t, store.NewRedis(r.rdb, "app", "another").Check(background))
		require.ErrorIs(t, r.worker().Start(background), store.ErrTopology)
	})
	t.Run("a store that may drop state", func(t *testing.T) {
		r := newRigOn(t, 1, testkit.RealRedis(t, testkit.WithArgs("--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru")).Addr)
		require.ErrorIs(t, r.worker().Start(background), store.ErrUnsuitable)
	})
	t.Run("no topology", func(t *testing.T) {
		r := newRig(t, 1)
		ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
		defer cancel()
		w := r.worker(func(c *Config) { c.App = "other" })
		require.ErrorIs(t, w.Start(ctx), topology.ErrNotFound)
		require.NoError(t, w.Stop(background))
	})
}

func TestNewChecksItsConfig(t *testing.T) {
	r := newRig(t, 1)
	good := r.worker().cfg
	for name, change := range map[string]func(*Config){
		"app":          func(c *Config) { c.App = "No App" },
		"handler":      func(c *Config) { c.Handler = nil },
		"store":        func(c *Config) { c.Store = nil },
		"locker":       func(c *Config) { c.Locker = nil },
		"log":          func(c *Config) { c.Log = nil },
		"cache bytes":  func(c *Config) { c.CacheBytes = -1 },
		"round events": func(c *Config) { c.RoundEvents = -1 },
		"round bytes":  func(c *Config) { c.RoundBytes = -1 },
	} {
		cfg := good
		change(&cfg)
		_, err := New(r.nats.Conn, cfg)
		require.Error(t, err, name)
	}
}

func TestStopAnyTime(t *testing.T) {
	r := newRig(t, 2)
	w := r.worker()
	require.NoError(t, w.Stop(background))
	require.Error(t, w.Start(background))
	require.Error(t, w.Ready())
	for i := range 20 {
		w := r.worker()
		began := make(chan error, 1)
		go func() { began <- w.Start(background) }()
		for w.nc.Stats().OutMsgs < uint64(3*i) && len(began) == 0 { // another moment each time
			runtime.Gosched()
		}
		var stops sync.WaitGroup
		for range 2 {
			stops.Go(func() { _ = w.Stop(background) })
		}
		stops.Wait()
		<-began
		require.Empty(t, w.status().Shards)
	}
}
