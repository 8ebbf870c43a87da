package consume

import (
	"context"
	"errors"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
)

// owner works on one shard for as long as this worker owns it. It claims the shard, opens its log and takes round after
// round. The type shard decides about events; the owner is the thin shell that talks to NATS and the store.
type owner struct {
	*shared
	n    int // the shard
	own  group.Ownership
	pace pace
	said string // why the shard is stopped, as it was logged
	tip  tip

	// Of the claim at hand:
	epoch topology.Epoch
	ctx   context.Context // of handlers and commits: ends with the ownership, or when the store is found to be unfit
	link  context.Context // of questions to NATS: ends also when the connection is lost
	idle  *time.Ticker
	shard *shard
	crew  *crew

	tending *tending
	asks    chan *request // requests by operators
	brake   brake         // outlives the claim
	fullOf  string        // the cap that the shard has reached, as it was logged

	// Of the log as it was opened last:
	feed     *feed
	messages <-chan message // the feed's; nil while the shard shares one
	seat     *taker         // in a shared feed, nil for none
	last     mark           // the newest message taken
	round    *round
	turn     <-chan struct{} // closed when the worker pauses
}

func newOwner(s *shared, own group.Ownership) *owner {
	return &owner{shared: s, n: own.Shard, own: own, tip: tip{patience: s.waits.tip}}
}

// run owns the shard until it is to be handed over, or ctx ends.
func (o *owner) run(ctx context.Context) {
	defer o.statuses.forget(o.n)
	for {
		began := time.Now()
		end := o.serve(ctx)
		if ctx.Err() != nil || end.next == handOver {
			return
		}
		if time.Since(began) > retryMax {
			o.pace = pace{}
		}
		if sleep(ctx, o.own.Stop, o.report(end)) {
			return
		}
	}
}

// report tells of an ending, and returns how long to wait before the shard is claimed again.
func (o *owner) report(end *ending) (wait time.Duration) {
	log := o.cfg.Log.With("shard", o.n)
	switch end.next {
	case reclaim:
		if errors.Is(end.err, store.ErrStale) {
			o.metrics.stale.Inc()
			log.Warn("another has claimed the shard, or the store went back in time; claiming it again")
		} else {
			log.Warn("another has announced that it owns the shard; claiming it again")
		}
		return o.pace.soon()
	case reopen:
		log.Info("opening the log again", "cause", end.err)
		return o.pace.soon()
	case halt:
		o.note(func(s *shardStatus) { s.sticks(stateStopped + end.err.Error()) })
		if end.err.Error() != o.said {
			log.Error("shard stopped until this is mended", "error", end.err)
			o.said = end.err.Error()
		}
		return o.waits.stopped
	default:
		wait = o.pace.later()
		o.note(func(s *shardStatus) { s.sticks(stateInterrupted + end.err.Error()) })
		log.Warn("shard interrupted; trying again", "in", wait, "error", end.err)
		if errors.Is(end.err, errUnanswered) {
			o.outages.unanswered()
		}
		return wait
	}
}

// serve claims the shard and applies its events, until it cannot go on. While the worker is paused the owner keeps the claim,
// with its version and its cache, but no feed: the server forgets a consumer that pulls nothing.
func (o *owner) serve(ctx context.Context) *ending {
	o.note(func(s *shardStatus) { s.begins(stateClaiming) })
	if o.leaving() {
		return &ending{next: handOver}
	}
	ctx, done := o.fitness.during(ctx)
	defer done()
	if err := context.Cause(ctx); err != nil {
		return because(err)
	}
	ctx = o.tellingWaits(ctx)
	link, unlink := unbroken(ctx, o.nc)
	defer unlink()
	attempting, endAttempts := context.WithCancelCause(ctx)
	o.ctx, o.link, o.epoch = ctx, link, o.topology.Current()
	if err := o.claim(); err != nil {
		endAttempts(nil)
		return because(explained(link, err))
	}
	o.crew = o.newCrew(attempting)
	defer o.crew.leave(endAttempts)
	o.newTending()
	defer func() { o.tending.leave() }()
	o.asks = o.owners.join(o.n)
	defer o.owners.leave(o.n)
	o.noteLists()
	defer o.shard.cache.clear()
	o.idle = time.NewTicker(o.waits.idle)
	defer o.idle.Stop()
	for {
		if end := o.follow(); end.next != rest {
			return end
		}
		paused, turn := o.pauses.look()
		if !paused {
			continue
		}
		o.note(func(s *shardStatus) { s.runs(statePaused) })
		if end := await(o, link, turn); end != nil {
			return end
		}
	}
}

// follow finds the shard's place in the log and takes round after round from there, until it cannot go on, or the worker is
// paused. Messages that have arrived by then are dropped with the feed, and come again with the next one. Only the work on a
// round outlives the connection.
func (o *owner) follow() *ending {
	if err := o.open(); err != nil {
		return because(explained(o.link, err))
	}
	defer o.close()
	if end := o.findPlace(); end != nil {
		return end
	}
	o.outages.answered()
	o.running()
	var paused bool
	if paused, o.turn = o.pauses.look(); paused {
		return &ending{next: rest}
	}
	reconnects := o.reconnects.Load()
	for {
		if end := o.take(); end != nil {
			return end
		}
		if now := o.reconnects.Load(); now != reconnects { // another server may answer, with less
			switch err := o.store.Verify(o.link, o.n, o.shard.version); {
			case err == nil:
				reconnects = now
			case errors.Is(err, store.ErrStale):
				return because(err)
			}
		}
		if o.shard.position.Seq < o.shard.logEnd {
			if err := o.checkPurged(); err != nil {
				return because(explained(o.link, err))
			}
		}
		if end := o.work(); end != nil {
			return end
		}
		o.foreign.note(o.cfg.Log, o.metrics, o.n, o.feed.stream, o.round.passed)
		o.feed.settle(len(o.round.msgs))
		o.round.reset()
		o.round.share.hold(0)
		o.share()
	}
}

// open opens the log where the shard's position is.
func (o *owner) open() (err error) {
	o.feed, err = open(o.link, o.nc, o.js, o.cfg.App, o.epoch, o.n, o.shard.start())
	if err != nil {
		return noAnswer(err)
	}
	o.messages, o.last = o.feed.messages, mark{}
	o.round = &round{
		at: frame.Place{Epoch: o.epoch.Epoch, Shard: o.n}, owns: func(key []byte) bool { return o.owns(o.n, key) },
		share: &share{of: &o.rounds},
	}
	o.note(func(s *shardStatus) { s.feed = o.feed })
	return nil
}

func (o *owner) close() {
	o.round.share.hold(0)
	o.note(func(s *shardStatus) { s.feed = nil })
	o.seat.leave()
	o.seat = nil
	o.closing.Go(o.feed.close) // it may wait for the server; the next owner need not
}

// running says that the shard has found its place.
func (o *owner) running() {
	var before string
	o.note(func(s *shardStatus) {
		before = s.state
		s.runs(stateRunning)
	})
	if before != statePaused && before != stateRunning { // else its feed was changed
		o.cfg.Log.Info("shard owned", "shard", o.n, "fence", o.shard.fence, "position", o.shard.position.Seq)
	}
}

func (o *owner) note(change func(*shardStatus)) { o.statuses.note(o.n, change) }

// leaving tells whether the shard is to be handed over.
func (o *owner) leaving() bool {
	select {
	case <-o.own.Stop:
		return true
	default:
		return false
	}
}

// await waits for done. Meanwhile the owner checks from time to time whether the shard's version is still the store's: a store
// that went back in time is to be brought up to date even if nothing is to be committed.
func await[T any](o *owner, ctx context.Context, done <-chan T) *ending {
	for {
		select {
		case <-done:
			return nil
		case call := <-o.crew.calls.ended:
			o.crew.late = append(o.crew.late, call)
		case <-o.idle.C:
			if err := o.checkVersion(ctx); err != nil {
				return because(err)
			}
		case <-o.own.Stop:
			return &ending{next: handOver}
		case <-ctx.Done():
			return because(context.Cause(ctx))
		}
	}
}

// checkVersion returns store.ErrStale if the shard's version is not the store's any more, or its slot is torn. Any other
// failure tells nothing.
func (o *owner) checkVersion(ctx context.Context) error {
	if err := o.store.Verify(ctx, o.n, o.shard.version); errors.Is(err, store.ErrStale) {
		return err
	}
	return nil
}
