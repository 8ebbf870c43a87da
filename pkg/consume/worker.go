// Package consume is the worker: it owns shards, folds their events into states by the application's handler, and commits
// the states together with the shard's position in the log. The position lies where the state lies, so the log needs no acks,
// and safety rests on the store's version alone: a worker that lost a shard without knowing can commit nothing.
//
// A file uses its own layer and those below, none above:
//
//	worker     worker.go starts and stops; ready.go, backlog.go report; storewatch.go, samestore.go check the store; topology.go checks
//	           the topology; acceptgap.go; requests.go (by operators)
//	owner      owner.go: one shard, as long as the worker owns it; ending.go, claim.go, place.go, take.go, share.go, work.go are its
//	           steps; pass.go and runner.go run attempts; tending.go, listresults.go, orders.go, room.go (lists, commands, a full or braked shard);
//	           storewaits.go
//	shared     shared.go: what the owners of a worker share; config.go, feed.go, sharedfeed.go, connection.go, fitness.go, pauses.go,
//	           pause.go, pace.go, statuses.go, receipts.go, metrics.go, forged.go, foreign.go, logkey.go, places.go,
//	           calls.go (attempts that run side by side), owners.go (requests reach an owner)
//	decisions  shard.go: admit.go (deduplication), apply.go (a pass), commit.go (a prefix of the log); lists.go, listchange.go, listwork.go,
//	           retries.go, schedule.go, commands.go (lists of events set aside); brake.go, caps.go (what stops a shard); sharing.go (a feed for several shards);
//	           no I/O, no clock
//	data       round.go, outcomes.go: events and what is done; cache.go: states; event.go, attempt.go, call.go (the handler);
//	           owed.go; bounds.go
//
// The tests in history_*_test.go run the decisions of all packages without I/O.
package consume

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/janitor"
	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Worker owns shards.
type Worker struct {
	shared

	group    *group.Group
	server   *query.Server
	janitor  *janitor.Janitor
	failed   chan error // cap 1
	mark     string     // the value that this worker leaves in the store under its id
	unanswer func()     // ends the answers to tokenQuestions
	watching context.Context
	unwatch  context.CancelFunc
	watches  sync.WaitGroup
	watcher  *topology.Watcher
	follows  following
	once     *lifecycle.Once
	joined   atomic.Bool // it has started and is not stopping
}

// New makes a Worker.
func New(nc *nats.Conn, cfg Config) (*Worker, error) {
	if err := appname.Check(cfg.App); err != nil {
		return nil, err
	}
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	w := &Worker{failed: make(chan error, 1), mark: rand.Text(), unanswer: func() {}}
	w.cfg, w.nc, w.js, w.waits = cfg, nc, js, defaultWaits
	w.caches.max, w.rounds.max = cfg.CacheBytes, roundsBytes
	w.places = newPlaces(cfg.Concurrency)
	w.givenUp.running, w.givenUp.wake = make(map[keyOfShard]int), make(map[int]chan<- struct{})
	w.givenUp.max, w.givenUp.many = cfg.MaxGivenUp, w.tooManyGivenUp
	w.statuses, w.pauses, w.fitness = newStatuses(), newPauses(cfg.Log), newFitness()
	w.outages.nc, w.outages.log = nc, cfg.Log
	paused := func() time.Duration { left, _ := w.pauses.left(); return left }
	w.metrics = newMetrics(cfg.App, cfg.Metrics, &w.caches, &w.statuses, w.givenUp.count, paused)
	w.feeds = newSharedFeeds(nc, js, cfg.Log, &w.waits)
	w.watching, w.unwatch = context.WithCancel(context.Background())
	w.follows.ctx, w.follows.end = context.WithCancel(context.Background())
	w.once = lifecycle.NewOnce("worker", w.start, w.stop)
	return w, nil
}

// Start waits for a topology, checks the store, and joins the group.
func (w *Worker) Start(ctx context.Context) error { return w.once.Start(ctx) }

func (w *Worker) start(ctx context.Context) error {
	err := w.join(ctx)
	if err != nil {
		return err
	}
	ring, err := w.topology.Current().Ring()
	if err != nil {
		return fmt.Errorf("ring of epoch %d: %w", w.topology.Current().Epoch, err)
	}
	if w.owns == nil {
		w.owns = func(shard int, key []byte) bool { return ring.ShardBytes(key) == shard }
	}
	w.receipts = startReceipts(w.nc.Publish, w.cfg.App, w.cfg.Log)
	w.store = w.cfg.Store(w.topology.ID)
	if err := w.store.Check(ctx, w.topology.Current().Shards); err != nil {
		return err
	}
	w.group, err = group.New(w.nc, group.Config{
		App: w.cfg.App, Name: w.cfg.Name, Shards: w.topology.Current().Shards, Replicas: w.topology.Log.Replicas,
		Locker: w.cfg.Locker, Own: w.own, Admit: w.admit, Unanswered: w.outages.unanswered, Log: w.cfg.Log, Metrics: w.cfg.Metrics,
	})
	if err != nil {
		return err
	}
	if w.unanswer, err = w.answerTokens(); err != nil {
		return err
	}
	w.pauses.start()
	w.watches.Go(func() { w.countBacklogs(w.watching) })
	w.server = query.NewServer(w.nc, w.cfg.App, ring, w.store, w.status, w.pauses.ask)
	w.server.SetOwner(query.Owner{Raise: w.raiseCaps, Drop: w.dropEvents})
	if err := w.server.Start(ctx); err != nil {
		return err
	}
	if err := w.group.Start(ctx); err != nil {
		return err
	}
	w.watches.Go(func() { w.watchStore(w.watching) })
	if w.cfg.JanitorLease != nil {
		if err := w.startJanitor(ctx); err != nil {
			return err
		}
	}
	w.joined.Store(true)
	w.follows.loop.Go(func() { w.followTopology(w.follows.ctx) })
	return nil
}

// own works on a shard for as long as this worker owns it.
func (w *Worker) own(ctx context.Context, o group.Ownership) { newOwner(&w.shared, o).run(ctx) }

// join waits for the topology, but not for ever: a worker with a wrong app name must end with an error.
func (w *Worker) join(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, w.cfg.TopologyTimeout, fmt.Errorf("none within %s", w.cfg.TopologyTimeout))
	defer cancel()
	if w.topology, w.kv, err = topology.Join(ctx, w.js, w.cfg.App, w.cfg.Log); err != nil {
		return err
	}
	if w.watcher, err = topology.Watch(ctx, w.nc, w.kv, nil, w.cfg.Log); err != nil {
		return err
	}
	return w.unfollowed()
}

// tooManyGivenUp ends the worker: what such handlers hold is never given back.
func (w *Worker) tooManyGivenUp(n int) {
	select {
	case w.failed <- fmt.Errorf("%d calls of the handler were given up and still run, more than %d: the worker ends", n, w.cfg.MaxGivenUp):
	default:
	}
}

func (w *Worker) startJanitor(ctx context.Context) error {
	var err error
	w.janitor, err = janitor.New(w.js, janitor.Config{
		App: w.cfg.App, Topology: w.topology, KV: w.kv, Store: w.store, Lease: w.cfg.JanitorLease, Every: w.cfg.JanitorEvery, Log: w.cfg.Log,
	})
	if err != nil {
		return err
	}
	return w.janitor.Start(ctx)
}

// Stop hands the shards over, each after the commit at hand. When ctx ends, handlers are cancelled.
func (w *Worker) Stop(ctx context.Context) error { return w.once.Stop(ctx) }

// stop ends all that start has begun. In this order: the topology is not followed any more; nothing is purged; the shards are
// handed over; the server forgets our consumers; the last receipts are sent; queries end, and with them requests to pause.
func (w *Worker) stop(ctx context.Context) error {
	w.joined.Store(false)
	w.follows.end()
	w.follows.loop.Wait()
	if w.watcher != nil {
		w.watcher.Stop()
	}
	var errs []error
	if w.janitor != nil {
		errs = append(errs, w.janitor.Stop(ctx))
	}
	if w.group != nil {
		errs = append(errs, w.group.Stop(ctx))
	}
	w.unwatch()
	w.watches.Wait()
	w.unanswer()
	w.feeds.stop()
	w.closing.Wait()
	if w.receipts != nil {
		w.receipts.stop()
	}
	if w.server != nil {
		errs = append(errs, w.server.Stop(ctx))
	}
	w.pauses.stop()
	return errors.Join(errs...)
}
