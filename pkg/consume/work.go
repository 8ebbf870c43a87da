package consume

import (
	"context"
	"errors"
	"time"

	"example.com/lockstep/pkg/store"
)

// work applies and commits the round, in passes, and waits for events that fail. A shard that is to be handed over goes after
// the commit at hand: a round may take a slow handler minutes.
func (o *owner) work() *ending {
	s, r := o.shard, o.round
	var backoff time.Duration // of the item at r.next; 0: the shard has not waited for it
	for {
		if err := o.load(); err != nil {
			return because(err)
		}
		failures := s.run(o.ctx, o.cfg.Handler, r)
		if err := context.Cause(o.ctx); err != nil && failures != nil { // they are not the handler's
			return because(err)
		}
		o.reportFailures(failures, longer(backoff))
		c, end := s.commit(o.cfg.Handler, r)
		switch {
		case c != nil:
			if end := o.settle(c, end, backoff > 0); end != nil || r.done() {
				return end
			}
			if o.leaving() {
				return &ending{next: handOver}
			}
			backoff = 0
		case r.items[r.next].outcome == failed:
			backoff = longer(backoff)
			if end := o.awaitRetry(backoff); end != nil {
				return end
			}
			if err := o.interrupted(); err != nil { // the round cannot be committed any more
				return because(err)
			}
			r.items[r.next].outcome = pending
		}
	}
}

// load brings the states of a round's keys into the cache.
func (o *owner) load() error {
	keys := o.shard.missing(o.round)
	if len(keys) == 0 {
		return nil
	}
	states, err := o.store.Load(o.ctx, o.n, o.shard.version, keys)
	if err != nil {
		return err
	}
	return o.shard.fill(states)
}

// reportFailures tells of the events that the handler has failed in one pass, and when the shard tries the first one again.
func (o *owner) reportFailures(failures []failure, again time.Duration) {
	for i := range failures {
		f := &failures[i]
		o.metrics.failures.Inc()
		log := o.cfg.Log.With("shard", o.n, keyHash(f.key), printableKey(f.key), "event", f.event,
			"message", o.round.msgs[o.round.items[f.item].msg].seq, "error", f.err)
		if f.item == o.round.next {
			log.Warn("handler failed; its shard waits for it", "again_in", again)
		} else {
			log.Warn("handler failed; its key waits for it")
		}
	}
}

// awaitRetry waits until the item at r.next is to be tried again.
func (o *owner) awaitRetry(backoff time.Duration) *ending {
	o.note(func(s *shardStatus) { s.sticks(stateRetrying) })
	o.metrics.retrying.Inc()
	defer o.metrics.retrying.Dec()
	due := time.NewTimer(backoff)
	defer due.Stop()
	return await(o, o.ctx, due.C)
}

// settle commits the items before end, and tells of it. The shard may have waited for the first of them: those that failed
// behind it are then tried again at once.
func (o *owner) settle(c *store.Commit, end int, waited bool) *ending {
	if err := o.interrupted(); err != nil {
		return because(err)
	}
	if err := o.commit(c); err != nil {
		return because(err)
	}
	s, r := o.shard, o.round
	t := s.tally
	o.metrics.count(end-r.next-t.duplicates-t.suspect.closed-t.late, t)
	o.suspicion.note(o.cfg.Log, o.n, t.suspect, time.Now())
	if t.late > 0 {
		o.cfg.Log.Warn("events of a forgotten publisher were not applied; is a clock off?", "shard", o.n, "last", c.LateLast, "total", c.Late)
	}
	o.receipts.add(s.receipts)
	s.committed(c, r, end)
	o.note(func(st *shardStatus) {
		st.position = s.position
		if waited {
			st.runs(stateRunning)
		}
	})
	if waited {
		r.retry()
	}
	return nil
}

// commit commits, repeating the call until it is known whether it happened.
func (o *owner) commit(c *store.Commit) error {
	for retry := retryMin; ; retry = min(2*retry, time.Second) {
		began := time.Now()
		err := o.store.Commit(o.ctx, c)
		if err == nil {
			o.metrics.commit.Observe(time.Since(began).Seconds())
			return nil
		}
		if errors.Is(err, store.ErrStale) {
			return err
		}
		cause := context.Cause(o.ctx)
		if cause == nil {
			o.cfg.Log.Warn("not committed; trying again", "shard", o.n, "in", retry, "error", err)
			sleep(o.ctx, nil, retry)
			cause = context.Cause(o.ctx)
		}
		if cause != nil {
			o.cfg.Log.Warn("left a round that may be committed or not; the shard's next owner finds out",
				"shard", o.n, "from", o.shard.position.Seq, "to", c.Position.Seq, "cause", cause, "error", err)
			return cause
		}
	}
}
