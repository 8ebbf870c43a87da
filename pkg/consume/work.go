package consume

import (
	"context"
	"errors"
	"time"

	"example.com/lockstep/pkg/store"
)

// work applies and commits the round, in passes. A shard that is to be handed over goes after the commit at hand: a round may take
// a slow handler minutes.
func (o *owner) work() *ending {
	s, r := o.shard, o.round
	for {
		if r.next < len(r.items) && r.items[r.next].command {
			if err := o.command(); err != nil {
				return because(err)
			}
		} else {
			if err := o.load(); err != nil {
				return because(err)
			}
			if end := o.pass(); end != nil {
				return end
			}
			o.reportFailures()
		}
		if c, end := s.commit(o.cfg.Handler, r, time.Now()); c != nil {
			if end := o.settle(c, end); end != nil || r.done() {
				return end
			}
			if o.leaving() {
				return &ending{next: handOver}
			}
			if end := o.tend(); end != nil {
				return end
			}
		} else if s.pass.blocked && r.complete() == r.next {
			if end := o.awaitRoom(); end != nil {
				return end
			}
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
	o.shard.fill(states)
	return nil
}

// reportFailures tells of the events that one pass has not applied.
func (o *owner) reportFailures() {
	for i := range o.shard.pass.failures {
		f := &o.shard.pass.failures[i]
		log := o.cfg.Log.With("shard", o.n, keyHash(f.key), printableKey(f.key), "event", f.event,
			"message", o.round.msgs[o.round.items[f.item].msg].seq)
		switch {
		case errors.Is(f.err, errRunning):
			log.Warn("handler takes long; its event is set aside while it runs")
		case errors.Is(f.err, errDropped):
			log.Warn("handler dropped an event", "error", f.err)
		default:
			o.metrics.failures.Inc()
			log.Warn("handler failed; its key waits for it", "error", f.err)
		}
	}
}

// settle commits the items before end, and tells of it.
func (o *owner) settle(c *store.Commit, end int) *ending {
	if err := o.interrupted(); err != nil {
		return because(err)
	}
	if err := o.commit(c); err != nil {
		return because(err)
	}
	s, r := o.shard, o.round
	t := s.tally
	o.metrics.count(r.applied(end), t)
	o.suspicion.note(o.cfg.Log, o.n, t.suspect, time.Now())
	if t.late > 0 {
		o.cfg.Log.Warn("events of a forgotten publisher were not applied; is a clock off?", "shard", o.n, "last", c.LateLast, "total", c.Late)
	}
	o.receipts.add(s.receipts)
	order := s.order
	s.committed(c, r, end)
	o.note(func(st *shardStatus) { st.position = s.position })
	if order != nil {
		o.listChanged(order.key, order.of, true, false)
		o.setTimer()
	}
	if len(c.Lists) > 0 {
		o.joinedAside(c.Lists)
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
