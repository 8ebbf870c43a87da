package consume

import (
	"errors"
	"sync"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/store"
	"github.com/cespare/xxhash/v2"
)

// begunAtOnce bounds the attempts at lists that begin in one turn of tending.
const begunAtOnce = 16

// tending is what an owner does with the lists of its shard, between passes: it begins attempts when they are due, commits their
// results, and does what operators ask for.
type tending struct {
	rules  retryRules
	due    schedule        // keys whose lists are to be tried
	drops  map[string]bool // keys with events to be dropped
	judges map[string]bool // keys with a command that can be judged
	gaveUp map[string]bool // keys of which a handler was given up and still runs

	calls  *calls        // their places are the lists'; nil: no attempt is due or under way
	under  int           // attempts under way
	waits  bool          // for a place
	spare  int           // places that are taken and not used yet
	timer  *time.Timer   // until more is due
	free   chan struct{} // cap 1: receives after a handler that was given up has returned
	result []*listChange // of this turn
}

func (o *owner) newTending() *tending {
	t := &tending{
		rules: o.shard.rules, drops: make(map[string]bool), judges: make(map[string]bool), gaveUp: make(map[string]bool),
		timer: time.NewTimer(time.Hour), free: o.givenUp.watch(o.n),
	}
	for _, key := range o.givenUp.keys(o.n) {
		o.shard.hold(key).gaveUp = true
		t.gaveUp[key] = true
	}
	o.tending = t
	for key, l := range o.shard.lists {
		o.plan(key, l)
	}
	return t
}

func (t *tending) leave() {
	t.timer.Stop()
	if t.calls != nil {
		for ; t.spare > 0; t.spare-- {
			t.calls.place.put()
		}
		t.calls.place.leave()
	}
}

// granted receives when an attempt at a list gets the place that it waits for.
func (t *tending) granted() chan struct{} {
	if !t.waits {
		return nil
	}
	return t.calls.place.granted
}

// plan schedules the next step for a list, after it has changed or an attempt has ended.
func (o *owner) plan(key string, l *list) {
	t := o.tending
	t.due.remove(key)
	delete(t.drops, key)
	delete(t.judges, key)
	if w := l.work(); w != nil && (l.head.Mark.Op == aside.Drop || len(l.head.Commands) > 0) {
		w.stopped.Store(true) // the operator comes before further events
	}
	switch {
	case !l.stored:
	case l.head.Mark.Op == aside.Drop:
		t.drops[key] = true
	case l.head.Mark.Op == aside.None && len(l.head.Commands) > 0 && (l.judged != l.head.First+1 || l.head.Status == aside.Parked):
		t.judges[key] = true
	case l.call == nil && !l.gaveUp:
		if at, ok := t.rules.due(&l.head, jitter(key, l.head.Attempts)); ok {
			t.due.set(key, at)
		}
	}
}

// jitter spreads the retries of different keys: a number from 0 to below 1 that is the key's, for each of its attempts another one.
func jitter(key string, attempts uint64) float64 {
	d := xxhash.NewWithSeed(attempts)
	_, _ = d.WriteString(key) // never fails
	return float64(d.Sum64()>>11) / (1 << 53)
}

// tend has one turn: it takes the results of attempts that have ended, does a piece of what operators have asked for, commits all
// that, and begins attempts that are due.
func (o *owner) tend() *ending {
	t, s, c := o.tending, o.shard, o.crew
	for more := true; more; {
		select {
		case call := <-c.calls.ended:
			c.late = append(c.late, call)
		case ask := <-o.asks:
			if err := o.answer(ask); err != nil {
				return because(err)
			}
		case <-t.free:
			o.handlersReturned()
		default:
			more = false
		}
	}
	if len(s.lists) == 0 && len(c.late) == 0 {
		return nil
	}
	if err := o.results(); err != nil {
		return because(err)
	}
	if err := o.dropPiece(); err != nil {
		return because(err)
	}
	if err := o.judgeOne(); err != nil {
		return because(err)
	}
	if err := o.commitLists(); err != nil {
		return because(err)
	}
	if err := o.beginLists(time.Now()); err != nil {
		return because(err)
	}
	o.setTimer()
	return nil
}

// tendAfter tends after an attempt has ended.
func (o *owner) tendAfter(call *call) *ending {
	o.crew.late = append(o.crew.late, call)
	return o.tend()
}

// tendGranted tends after an attempt at a list has got its place.
func (o *owner) tendGranted() *ending {
	o.tending.spare++
	o.tending.waits = false
	return o.tend()
}

// setTimer sets the timer to when more is to be done.
func (o *owner) setTimer() {
	t := o.tending
	wait := time.Hour
	if _, at, ok := t.due.next(); ok && !t.waits {
		wait = max(0, time.Until(at))
	}
	if len(t.drops) > 0 || len(t.judges) > 0 {
		wait = 0
	}
	t.timer.Reset(wait)
}

// beginLists begins attempts that are due.
func (o *owner) beginLists(now time.Time) error {
	t, s := o.tending, o.shard
	if t.waits {
		select {
		case <-t.calls.place.granted:
			t.spare++
			t.waits = false
		default:
			return nil
		}
	}
	var works []*listWork
	for len(works) < begunAtOnce {
		key, at, ok := t.due.next()
		if !ok || at.After(now) {
			break
		}
		if t.calls == nil {
			calls := *o.crew.calls
			calls.place = o.places.join()
			t.calls = &calls
		}
		if t.spare > 0 {
			t.spare--
		} else if !t.calls.place.take() {
			t.waits = true
			break
		}
		t.due.remove(key)
		works = append(works, &listWork{shard: o.n, fence: s.fence, key: key})
	}
	for ; t.spare > 0; t.spare-- {
		t.calls.place.put()
	}
	if len(works) == 0 {
		return nil
	}
	if err := o.readLists(works); err != nil {
		for range works {
			t.calls.place.put()
		}
		return err
	}
	for _, w := range works {
		o.startList(w)
	}
	return nil
}

// readLists reads the lists and the states that attempts are to work on.
func (o *owner) readLists(works []*listWork) error {
	s := o.shard
	keys, errs := make([]string, len(works)), make([]error, len(works)+1)
	var wait sync.WaitGroup
	for i, w := range works {
		keys[i] = w.key
		h := &s.lists[w.key].head
		from, n := h.First, int(min(h.Len(), listEvents))
		wait.Go(func() { w.events, errs[i] = o.store.Aside(o.ctx, o.n, s.version, w.key, from, n) })
	}
	states, err := o.store.Load(o.ctx, o.n, s.version, keys)
	wait.Wait()
	errs[len(works)] = err
	if err := errors.Join(errs...); err != nil {
		if errors.Is(err, store.ErrStale) {
			return store.ErrStale
		}
		return err
	}
	for i, w := range works {
		l := s.lists[w.key]
		if len(w.events) == 0 {
			return errMissing(o.n, w.key, l.head.First)
		}
		w.begin(l, states[i])
	}
	return nil
}

// startList starts an attempt at a list, which has a place.
func (o *owner) startList(w *listWork) {
	began := time.Now()
	c := &call{attempt: attempt{key: w.key}, list: w}
	w.spent = func() bool { return time.Since(began) >= listTime }
	calls := o.tending.calls
	w.next = func() { calls.extend(c) }
	o.shard.lists[w.key].call = c
	o.tending.under++
	calls.start(o.crew.ctx, c, w.runIn(o.cfg.Handler))
}

// handlersReturned goes on with keys whose handlers were given up and have returned.
func (o *owner) handlersReturned() {
	t, s := o.tending, o.shard
	for key := range t.gaveUp {
		if o.givenUp.has(o.n, key) {
			continue
		}
		delete(t.gaveUp, key)
		if l := s.lists[key]; l != nil {
			l.gaveUp = false
			o.plan(key, l)
			s.released(key, l)
		}
	}
}
