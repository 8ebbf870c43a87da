package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/store"
)

const (
	retryMin = 50 * time.Millisecond
	retryMax = 5 * time.Second
)

// waits are how long an owner waits for what depends on others.
type waits struct {
	idle    time.Duration // until an idle shard looks whether its version still stands
	place   time.Duration // for the message at the position to arrive
	stopped time.Duration // until a stopped shard looks whether log and store fit together again

	hang     time.Duration // until a handler's call counts as one that hangs
	handover time.Duration // until a shard that is on its way between two workers counts as stuck
	count    time.Duration // between two counts of what waits for shards that do not run
	look     time.Duration // between two looks whether the store is still suitable
	token    time.Duration // until another member is asked again whether it uses the same store
}

var defaultWaits = waits{idle: time.Second, place: 5 * time.Second, stopped: 5 * time.Second, hang: hangTime, handover: handoverTime, count: 5 * time.Second, look: time.Minute, token: time.Second}

// errGap means that log and store do not fit together: going on would skip or repeat events.
var errGap = errors.New("log and store do not fit together")

// errPaused ends the taking of rounds where the intake is paused.
var errPaused = errors.New("the intake is paused")

// errHandOver ends a shard's work where it is to be handed over.
var errHandOver = errors.New("to be handed over")

// own works on a shard for as long as this worker owns it.
func (w *Worker) own(ctx context.Context, o group.Ownership) {
	defer w.forget(o.Shard)
	var again pace
	said := ""
	for {
		began := time.Now()
		err := w.serve(ctx, o)
		if ctx.Err() != nil || errors.Is(err, errHandOver) {
			return
		}
		if time.Since(began) > retryMax {
			again = pace{}
		}
		var wait time.Duration
		log := w.cfg.Log.With("shard", o.Shard)
		switch {
		case errors.Is(err, store.ErrStale):
			w.metrics.stale.Inc()
			log.Warn("another has claimed the shard, or the store went back in time; claiming it again")
			wait = again.soon()
		case errors.Is(err, group.ErrOutrun):
			log.Warn("another has announced that it owns the shard; claiming it again")
			wait = again.soon()
		case errors.Is(err, errReopen):
			log.Info("opening the log again", "cause", err)
			wait = again.soon()
		case errors.Is(err, errGap), errors.Is(err, store.ErrTopology), errors.Is(err, store.ErrGone), errors.Is(err, store.ErrUnsuitable):
			wait = w.waits.stopped
			w.note(o.Shard, func(s *shardStatus) { s.sticks(stateStopped + err.Error()) })
			if err.Error() != said {
				log.Error("shard stopped until this is mended", "error", err)
				said = err.Error()
			}
		default:
			wait = again.later()
			w.note(o.Shard, func(s *shardStatus) { s.sticks(stateInterrupted + err.Error()) })
			log.Warn("shard interrupted; trying again", "in", wait, "error", err)
			if errors.Is(err, errUnanswered) {
				w.roam()
			}
		}
		if sleep(ctx, o.Stop, wait) {
			return
		}
	}
}

// serve claims the shard and works on what comes, until an error. While the intake is paused it keeps the shard, with its
// version and its cache, but no feed: the server forgets a consumer that nobody drains.
func (w *Worker) serve(ctx context.Context, o group.Ownership) error {
	w.note(o.Shard, func(s *shardStatus) { s.begins(stateClaiming) })
	select {
	case <-o.Stop:
		return errHandOver
	default:
	}
	ctx, done := w.fitness.during(ctx)
	defer done()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	asking, answered := unbroken(ctx, w.nc)
	defer answered()
	s, err := w.claim(asking, o)
	if err != nil {
		return reason(asking, err)
	}
	defer s.cache.clear()
	idle := time.NewTicker(w.waits.idle)
	defer idle.Stop()
	for {
		if err := w.follow(ctx, asking, o, s, idle.C); !errors.Is(err, errPaused) {
			return err
		}
		if err := w.rest(asking, o, s, idle.C); err != nil {
			return reason(asking, err)
		}
	}
}

// follow finds the shard's place in the log and takes round after round from there, until an error: errPaused as soon as
// the intake is paused. What has arrived and is not begun then goes with the feed, and comes again with the next one.
// Only work outlives asking.
func (w *Worker) follow(ctx, asking context.Context, o group.Ownership, s *shard, idle <-chan time.Time) error {
	f, err := open(asking, w.nc, w.js, w.cfg.App, w.topology.Current(), o.Shard, s.start())
	if err != nil {
		return reason(asking, unanswered(err))
	}
	defer w.closing.Go(f.close) // it may wait for the server; the next owner need not
	w.note(o.Shard, func(st *shardStatus) { st.feed = f })
	defer w.note(o.Shard, func(st *shardStatus) { st.feed = nil })
	r := &round{at: frame.Place{Epoch: w.topology.Current().Epoch, Shard: o.Shard}, owns: func(key []byte) bool { return w.owns(o.Shard, key) }, share: &share{of: &w.rounds}}
	defer r.share.hold(0)
	if err := w.place(asking, o, s, f, r); err != nil {
		return reason(asking, err)
	}
	w.arrived()
	var before string
	w.note(o.Shard, func(st *shardStatus) {
		before = st.state
		st.runs(stateRunning)
	})
	if before != statePaused {
		w.cfg.Log.Info("shard owned", "shard", o.Shard, "fence", s.fence, "position", s.position.Seq)
	}
	paused, turned := w.intake.look()
	if paused {
		return errPaused
	}
	for {
		if err := w.fill(asking, o, s, f, r, idle, turned); err != nil {
			return reason(asking, err)
		}
		w.arrived()
		select {
		case <-turned: // looked at when the round has arrived: nothing is begun that came after the worker's answer
			return errPaused
		default:
		}
		if s.position.Seq < s.logEnd {
			if err := w.whole(asking, s, f); err != nil {
				return reason(asking, err)
			}
		}
		if err := w.work(ctx, o, s, f, r, idle); err != nil {
			return err
		}
		w.passedOver(o.Shard, f, r)
		f.settle(len(r.msgs))
		r.reset()
		r.share.hold(0)
	}
}

// reason is why something failed: what ended ctx, if anything did.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// manyPublishers is from when on the number of a shard's publishers is worth a line: reading them takes longer than a
// failover should.
const manyPublishers = 100_000

// claim makes this worker the shard's owner.
func (w *Worker) claim(ctx context.Context, o group.Ownership) (*shard, error) {
	announcing, cancel := context.WithTimeout(ctx, feedAnswerTime)
	revision, err := o.Announce(announcing)
	cancel()
	if err != nil {
		return nil, unanswered(err)
	}
	rec, err := w.store.Claim(ctx, o.Shard, revision, store.NewVersion())
	if err != nil {
		return nil, err
	}
	s := claimed(o.Shard, rec, &w.budget)
	if err := w.store.Publishers(ctx, o.Shard, s.version, s.restore); err != nil {
		return nil, err
	}
	if n := s.record.Len(); n >= manyPublishers {
		w.cfg.Log.Warn("shard remembers very many publishers; is one made for each event?", "shard", o.Shard, "publishers", n)
	}
	if err := confirm(ctx, o, revision, rec.Fence); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil { // the lease must still stand after the claim
		return nil, err
	}
	w.watch(s)
	w.note(o.Shard, func(st *shardStatus) {
		st.begins(stateCatching)
		st.fence, st.position = s.fence, s.position
	})
	if epoch := w.topology.Current().Epoch; s.position.Epoch != 0 && s.position.Epoch != epoch {
		return nil, fmt.Errorf("%w: shard %d has committed in epoch %d, the log is in epoch %d", errGap, o.Shard, s.position.Epoch, epoch)
	}
	return s, nil
}

// maxFenceLag is how far the revisions of the claims bucket may lie behind the stores' fences before the bucket counts as
// one that was made anew.
const maxFenceLag = 1000

// confirm makes sure, before a handler sees it, that the fence is larger than all that handlers have seen and that the
// next owner's will be larger still, even if the store goes back in time and forgets it. For that, nobody must have
// announced an ownership since this one was, and the claims bucket's revision must have reached the fence. It has not, if
// others claimed the shard late, under announcements of old: each of them raised the fence by one.
func confirm(ctx context.Context, o group.Ownership, revision, fence uint64) error {
	for {
		var err error
		if revision, err = o.Confirm(ctx, revision); err != nil {
			return err
		}
		if revision >= fence || fence-revision > maxFenceLag {
			return nil
		}
	}
}

// fill takes what has arrived, waiting for a first message. One that cannot be read ends it; it is an error once those
// before it are committed. A turn of the intake ends the waiting with errPaused.
func (w *Worker) fill(ctx context.Context, o group.Ownership, s *shard, f *feed, r *round, idle <-chan time.Time, turned <-chan struct{}) error {
	select {
	case <-o.Stop: // looked at first: messages may never cease
		return errHandOver
	default:
	}
	if r.bad != nil {
		return r.bad
	}
	for len(r.msgs) == 0 {
		select {
		case m := <-f.messages:
			if err := r.add(m); err != nil {
				return unreadable(o.Shard, f, m, err)
			}
		case <-idle: // a store that went back in time must be brought up to date, also if no event comes
			if err := w.stands(ctx, s); err != nil {
				return err
			}
		case <-turned:
			return errPaused
		case <-f.broken:
			return f.failure
		case <-o.Stop:
			return errHandOver
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for {
		r.share.hold(r.cost())
		if len(r.items) >= w.cfg.RoundEvents || len(r.msgs) >= w.cfg.RoundEvents || r.bytes >= w.cfg.RoundBytes || !r.share.left() {
			return nil
		}
		m, ok := f.arrived()
		if !ok {
			return nil
		}
		if err := r.add(m); err != nil {
			r.bad = unreadable(o.Shard, f, m, err)
			return nil
		}
	}
}

// work applies and commits a round, in passes. A shard that is to be handed over goes after the commit at hand: a round may
// take a slow handler minutes.
func (w *Worker) work(ctx context.Context, o group.Ownership, s *shard, f *feed, r *round, idle <-chan time.Time) error {
	wait := time.Duration(0) // before the next attempt at the item at r.next; 0: it has not failed alone
	for {
		if err := w.load(ctx, s, r); err != nil {
			return err
		}
		failures := s.run(ctx, w.cfg.Handler, r)
		if err := context.Cause(ctx); err != nil && failures != nil {
			return err
		}
		w.failing(s, r, failures, wait)
		c, end := s.commit(w.cfg.Handler, r)
		if c == nil {
			if r.items[r.next].outcome != failed {
				continue
			}
			wait = min(max(2*wait, retryMin), retryMax)
			if err := w.await(ctx, o, s, wait, idle); err != nil {
				return err
			}
			r.items[r.next].outcome = pending
			continue
		}
		if err := f.err(); err != nil {
			return err
		}
		if err := w.settle(ctx, s, r, c, end); err != nil {
			return err
		}
		if wait > 0 {
			w.note(o.Shard, func(st *shardStatus) { st.runs(stateRunning) })
			r.retry()
			wait = 0
		}
		if r.done() {
			return nil
		}
		select {
		case <-o.Stop:
			return errHandOver
		default:
		}
	}
}

// failing reports the events that their handler has failed in one pass.
func (w *Worker) failing(s *shard, r *round, failures []failure, again time.Duration) {
	for i := range failures {
		f := &failures[i]
		w.metrics.failures.Inc()
		log := w.cfg.Log.With("shard", s.n, keyHash(f.key), printableKey(f.key), "event", f.event, "message", r.msgs[r.items[f.item].msg].seq)
		if f.item == r.next {
			log.Warn("handler failed; its shard waits for it", "again_in", min(max(2*again, retryMin), retryMax), "error", f.err)
		} else {
			log.Warn("handler failed; its key waits for it", "error", f.err)
		}
	}
}

// await waits until the item at r.next is to be tried again.
func (w *Worker) await(ctx context.Context, o group.Ownership, s *shard, wait time.Duration, idle <-chan time.Time) error {
	w.note(s.n, func(st *shardStatus) { st.sticks(stateRetrying) })
	w.metrics.retrying.Inc()
	defer w.metrics.retrying.Dec()
	due := time.NewTimer(wait)
	defer due.Stop()
	for {
		select {
		case <-due.C:
			return nil
		case <-idle:
			if err := w.stands(ctx, s); err != nil {
				return err
			}
		case <-o.Stop:
			return errHandOver
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// settle commits the items before end, and tells of it.
func (w *Worker) settle(ctx context.Context, s *shard, r *round, c *store.Commit, end int) error {
	if err := w.commit(ctx, s, c); err != nil {
		return err
	}
	t := s.tally
	w.metrics.count(end-r.next-t.duplicates-t.suspect.closed-t.late, t.duplicates, t.late)
	w.metrics.closed.Add(float64(t.suspect.closed))
	w.metrics.jumps.Add(float64(t.suspect.jumps))
	w.suspicion.note(w.cfg.Log, s.n, t.suspect, time.Now())
	if t.late > 0 {
		w.cfg.Log.Warn("events of a forgotten publisher were not applied; is a clock off?", "shard", s.n, "last", c.LateLast, "total", c.Late)
	}
	w.receipts.add(s.receipts)
	s.committed(c, r, end)
	w.note(s.n, func(st *shardStatus) { st.position = s.position })
	return nil
}

// load brings the states of a round's keys into the cache.
func (w *Worker) load(ctx context.Context, s *shard, r *round) error {
	keys := s.missing(r)
	if len(keys) == 0 {
		return nil
	}
	states, err := w.store.Load(ctx, s.n, s.version, keys)
	if err != nil {
		return err
	}
	s.fill(states)
	return nil
}

// commit commits, repeating the call until it is known whether it happened.
func (w *Worker) commit(ctx context.Context, s *shard, c *store.Commit) error {
	for retry := retryMin; ; retry = min(2*retry, time.Second) {
		began := time.Now()
		err := w.store.Commit(ctx, c)
		if err == nil {
			w.metrics.commit.Observe(time.Since(began).Seconds())
			return nil
		}
		if errors.Is(err, store.ErrStale) {
			return err
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		w.cfg.Log.Warn("not committed; trying again", "shard", s.n, "in", retry, "error", err)
		if sleep(ctx, nil, retry) {
			return context.Cause(ctx)
		}
	}
}
