package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
)

// brakePass lets the brake say how many first attempts the pass may begin.
func (o *owner) brakePass(now time.Time) (term uint32) {
	before := o.brake.braked()
	o.shard.pass.room = o.brake.room(now)
	o.noteBrake(before)
	return o.brake.begin(0)
}

// countPass tells the brake of the pass's first attempts.
func (o *owner) countPass(term uint32) {
	p := &o.shard.pass
	if p.tried == 0 {
		return
	}
	before, now := o.brake.braked(), time.Now()
	o.brake.begin(p.tried)
	good := p.tried
	for i := range p.failures {
		if err := p.failures[i].err; good > 0 && !errors.Is(err, errRunning) && !errors.Is(err, errDropped) {
			good--
		}
	}
	o.brake.succeeded(term, good, now)
	for i := range p.failures {
		if err := p.failures[i].err; !errors.Is(err, errRunning) && !errors.Is(err, errDropped) {
			o.brake.failed(term, p.failures[i].key, now)
		}
	}
	o.noteBrake(before)
}

// noteBrake tells of a brake that has changed.
func (o *owner) noteBrake(before bool) {
	switch now := o.brake.braked(); {
	case now && !before:
		o.cfg.Log.Error("shard brakes: too many events fail; it tries some from time to time", "shard", o.n, "why", o.brake.why)
	case before && !now:
		o.cfg.Log.Info("shard goes on: its events succeed again", "shard", o.n)
		o.note(func(s *shardStatus) { s.runs(stateRunning) })
	}
}

// awaitRoom waits while the item at r.next may not begin: the shard is braked, or what it has set aside has reached a cap. Its lists
// are tended meanwhile.
func (o *owner) awaitRoom() *ending {
	s, t := o.shard, o.tending
	full := s.caps.full(s.extent())
	if s.caps == (caps{}) {
		full = ""
	}
	wait := time.Hour
	switch {
	case full != "":
		o.note(func(st *shardStatus) { st.sticks(stateFull + full) })
		if o.fullOf != full {
			o.cfg.Log.Error("shard takes nothing more from its log: retry or drop what is set aside, or raise its caps", "shard", o.n, "why", full)
		}
		o.fullOf = full
	case o.brake.braked():
		wait = o.brake.wait(time.Now())
		o.note(func(st *shardStatus) { st.sticks(stateBraked + o.brake.why) })
	default:
		return nil // the lists have changed meanwhile
	}
	due := time.NewTimer(wait)
	defer due.Stop()
	before := s.extent()
	if end := o.tend(); end != nil { // attempts may have ended during the pass
		return end
	}
	for s.extent() == before && s.caps.full(s.extent()) == full {
		var end *ending
		select {
		case <-due.C:
			return nil
		case call := <-o.crew.calls.ended:
			end = o.tendAfter(call)
		case ask := <-o.asks:
			end = because(o.answer(ask))
		case <-t.timer.C:
			end = o.tend()
		case <-t.free:
			o.handlersReturned()
			o.setTimer()
		case <-t.granted():
			end = o.tendGranted()
		case <-o.idle.C:
			end = because(o.checkVersion(o.link))
		case <-o.turn:
			end = &ending{next: rest}
		case <-o.own.Stop:
			end = &ending{next: handOver}
		case <-o.link.Done():
			end = because(context.Cause(o.link))
		}
		if end != nil {
			return end
		}
	}
	o.fullOf = ""
	o.note(func(st *shardStatus) { st.runs(stateRunning) })
	return nil
}

// joinedAside goes on with lists to which a commit has added events.
func (o *owner) joinedAside(lists []store.List) {
	for i := range lists {
		key := lists[i].Key
		l := o.shard.lists[key]
		if l == nil || len(lists[i].Events) == 0 {
			continue
		}
		if l.head.Len() == uint64(len(lists[i].Events)) { // else its first event is an earlier one
			o.plan(key, l)
			if l.head.Status == aside.Parked {
				o.cfg.Log.Warn("key is parked: it waits for an operator", "shard", o.n, keyHash(key), printableKey(key),
					"attempts", l.head.Attempts, "events", l.head.Len(), "error", l.head.Error)
				o.notify(key, l)
			}
		}
	}
	o.noteLists()
	o.setTimer()
}

// noteLists notes how much is set aside.
func (o *owner) noteLists() {
	s := o.shard
	keys, parked, events := len(s.lists), s.parked, s.asideEvents
	o.note(func(st *shardStatus) { st.keys, st.parked, st.events = keys, parked, events })
}

// answer answers an operator's request. Its error ends the claim.
func (o *owner) answer(r *request) (fatal error) {
	defer close(r.done)
	if r.drop != nil {
		r.err, fatal = o.drop(*r.drop)
		return fatal
	}
	r.caps, r.err, fatal = o.raise(r.ctx, r.raise)
	return fatal
}

// raise raises the shard's caps. The topology's bucket has them before the record does: a slot that goes back in time has them still.
// fatal ends the claim.
func (o *owner) raise(ctx context.Context, by topology.Caps) (_ topology.Caps, err, fatal error) {
	s := o.shard
	raised, err := topology.RaiseCaps(ctx, o.js, o.kv, o.n, by)
	if err != nil {
		return topology.Caps{}, err, nil
	}
	c := s.nextCommit()
	c.Owed, c.Caps = nil, raised.String()
	if err := o.commit(c); err != nil {
		return topology.Caps{}, fmt.Errorf("keep the caps of shard %d: %w", o.n, err), err
	}
	s.version, s.owed = c.New, nil
	s.caps = o.cfg.capsOf(topology.Caps{Keys: s.caps.keys, Events: s.caps.events}.Raised(raised))
	o.cfg.Log.Info("caps raised by request", "shard", o.n, "keys", s.caps.keys, "events", s.caps.events)
	return topology.Caps{Keys: s.caps.keys, Events: s.caps.events}, nil, nil
}

// drop marks a list as to be dropped. fatal ends the claim.
func (o *owner) drop(c frame.Command) (err, fatal error) {
	ch, why, err := o.order(c.Key, commandOf(c))
	if err != nil {
		return err, err
	}
	if ch == nil {
		return fmt.Errorf("key %.64q: %s: look at its list again (worker parked show)", c.Key, why), nil
	}
	o.tending.result = append(o.tending.result, ch)
	if err := o.commitLists(); err != nil {
		return err, err
	}
	o.setTimer()
	return nil, nil
}
