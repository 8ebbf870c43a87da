package consume

import (
	"errors"
	"slices"
	"time"
)

// results takes the results of the attempts that have ended.
func (o *owner) results() error {
	s, c, t := o.shard, o.crew, o.tending
	var kept []*call
	for i, call := range c.late {
		l := s.lists[call.key]
		if l != nil && !l.stored && l.first.call == call { // its event is not set aside yet: the commit that does it comes
			kept = append(kept, call)
			continue
		}
		if call.list != nil {
			t.under--
		}
		if l == nil || l.call != call {
			continue
		}
		if slices.ContainsFunc(t.result, func(ch *listChange) bool { return ch.of == l }) { // one change of a list in each commit
			kept = append(kept, c.late[i:]...)
			break
		}
		l.call = nil
		if errors.Is(call.result.err, errGivenUp) && o.givenUp.has(o.n, call.key) {
			l.gaveUp = true
			t.gaveUp[call.key] = true
		}
		ch, err := o.resultOf(call, l)
		if err != nil {
			return err
		}
		if ch != nil {
			t.result = append(t.result, ch)
		} else {
			o.plan(call.key, l)
		}
		s.released(call.key, l)
	}
	clear(c.late)
	c.late = append(c.late[:0], kept...)
	return nil
}

// resultOf is the change that an attempt's result makes; nil: none, for the list or its key is not as the attempt found it.
func (o *owner) resultOf(call *call, l *list) (*listChange, error) {
	ch := &listChange{key: call.key, of: l}
	var p progress
	if w, ok := call.list.(*listWork); ok {
		p = w.into(ch)
	} else if err := o.resultOfRunning(call, l, &p, ch); err != nil {
		return nil, err
	}
	p.ended = time.Now()
	if p.err == nil && call.result.err != nil && !errors.Is(call.result.err, errDropped) {
		p.err = call.result.err
	}
	p.park = errors.Is(p.err, errParked)
	o.metrics.retries.Inc()
	if p.err != nil {
		o.metrics.failures.Inc()
	}
	p, taken := ch.take(o.tending.rules, p)
	if !taken {
		return nil, nil
	}
	if p.err != nil {
		o.cfg.Log.Info("attempt failed; its key waits", "shard", o.n, keyHash(call.key), printableKey(call.key),
			"attempts", ch.head.Attempts, "error", p.err)
	}
	return ch, nil
}

// resultOfRunning reads the result of an attempt whose event was set aside while it ran.
func (o *owner) resultOfRunning(call *call, l *list, p *progress, ch *listChange) error {
	switch err := call.result.err; {
	case err == nil:
		stored, err := encoded(o.cfg.Handler, &call.result)
		if err != nil {
			p.err = err
			return nil
		}
		ch.writes, ch.state, ch.proof, ch.applied = true, stored, call.result.proof, 1
	case errors.Is(err, errDropped):
		stored, err := o.loadOne(call.key)
		if err != nil {
			return err
		}
		ch.drop(stored, 1)
	default:
		return nil
	}
	p.done, p.bytes = 1, l.began.bytes
	ch.receipts = make(map[receiptTo][]uint64)
	addReceipt(ch.receipts, &l.began.event)
	return nil
}

// encoded is the state behind an attempt as it is to be stored.
func encoded(h Handler, res *result) (b []byte, err error) {
	if res.stored != nil {
		return res.stored, nil
	}
	defer recovered(&err)
	return encode(h, res.state, nil, res.proof)
}

// loadOne reads a key's state as it is stored.
func (o *owner) loadOne(key string) ([]byte, error) {
	states, err := o.store.Load(o.ctx, o.n, o.shard.version, []string{key})
	if err != nil {
		return nil, err
	}
	return states[0], nil
}

// dropPiece drops a piece of one list, at an operator's command.
func (o *owner) dropPiece() error {
	t, s := o.tending, o.shard
	for key := range t.drops {
		l := s.lists[key]
		if slices.ContainsFunc(t.result, func(ch *listChange) bool { return ch.of == l }) {
			continue
		}
		events, err := o.readPiece(key, l)
		if err != nil {
			return err
		}
		stored, err := o.loadOne(key)
		if err != nil {
			return err
		}
		t.result = append(t.result, l.dropping(key, events, stored))
		return nil
	}
	return nil
}

// readPiece reads the events of a list that one commit drops.
func (o *owner) readPiece(key string, l *list) (events [][]byte, err error) {
	size := 0
	for want := l.toDrop(); len(events) < want && size < droppedBytes; {
		from := l.head.First + uint64(len(events))
		more, err := o.store.Aside(o.ctx, o.n, o.shard.version, key, from, want-len(events))
		if err != nil {
			return nil, err
		}
		if len(more) == 0 {
			return nil, errMissing(o.n, key, from)
		}
		for _, b := range more {
			size += len(b)
		}
		events = append(events, more...)
	}
	return events, nil
}

// commitLists commits the changes of this turn.
func (o *owner) commitLists() error {
	t, s := o.tending, o.shard
	if len(t.result) == 0 {
		return nil
	}
	defer func() { t.result = t.result[:0] }()
	c := s.changeLists(t.result)
	if err := o.commit(c); err != nil {
		return err
	}
	receipts := make(map[receiptTo][]uint64)
	for _, ch := range t.result {
		for to, seqs := range ch.receipts {
			receipts[to] = append(receipts[to], seqs...)
		}
		o.metrics.applied.Add(float64(ch.applied))
	}
	o.receipts.add(receipts)
	parks := make([]bool, len(t.result))
	for i, ch := range t.result {
		parks[i] = ch.parks()
	}
	s.changedLists(c, t.result)
	for i, ch := range t.result {
		o.listChanged(ch.key, ch.of, ch.left, parks[i])
	}
	o.noteLists()
	return nil
}

// listChanged goes on with a list after a commit.
func (o *owner) listChanged(key string, of *list, left, parks bool) {
	t := o.tending
	l := o.shard.lists[key]
	switch {
	case l == nil:
		l = &list{}
		fallthrough
	case !left:
		for _, c := range of.head.Commands {
			o.passedOver(key, c, "the key has no events set aside")
		}
	}
	o.plan(key, l)
	if parks {
		o.cfg.Log.Warn("key is parked: it waits for an operator", "shard", o.n, keyHash(key), printableKey(key),
			"attempts", l.head.Attempts, "events", l.head.Len(), "error", l.head.Error)
		o.notify(key, l)
	}
	if len(t.due.queue) == 0 && t.under == 0 && t.calls != nil && !t.waits {
		t.calls.place.leave()
		t.calls = nil
	}
}
