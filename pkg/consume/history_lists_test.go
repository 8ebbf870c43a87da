package consume

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/frame"
	"github.com/nats-io/nats.go"
)

// operate is an operator's command about a list, as it is in the store then. It may be one that has to wait, or never fits.
func (h *history) operate() {
	n := h.rand.IntN(h.shards)
	for _, key := range slices.Sorted(maps.Keys(h.slots[n].keys)) {
		_, events, torn := h.list(n, key)
		if torn || len(events) == 0 || h.rand.IntN(2) == 0 {
			continue
		}
		first := h.rand.IntN(len(events)) * h.rand.IntN(2)
		last := first + h.rand.IntN(len(events)-first)
		c := frame.Command{Op: frame.CommandRetry, Key: key, First: events[first].ID, Last: events[last].ID, Count: uint64(last - first + 1)}
		if h.rand.IntN(2) == 0 {
			c.Op = frame.CommandDrop
			for _, e := range events[first : last+1] {
				h.doomed[string(e.Data)] = true
			}
		}
		if h.rand.IntN(10) == 0 && c.Count > 1 {
			c.Count++
		}
		header := nats.Header{frame.HeaderKind: {frame.KindCommand}, frame.HeaderPlace: {frame.Place{Epoch: 1, Shard: n}.String()}}
		h.log = append(h.log, logged{n, message{seq: uint64(len(h.log) + 1), time: h.now, data: c.Append(nil), header: header}})
		h.say("message %d: %s of %d events of key %s from %s on", len(h.log), c.Op, c.Count, key, c.First)
		h.now = h.now.Add(1)
		return
	}
}

// order takes the command at the head of the round, as owner.command does.
func (p *process) order() {
	it := &p.r.items[p.r.next]
	it.outcome = skipped
	p.r.seen = max(p.r.seen, p.r.next+1)
	m, err := frame.DecodeCommand(p.r.msgs[it.msg].data)
	if err != nil {
		p.h.broken("a command cannot be read: %v", err)
	}
	c := commandOf(m)
	var of named
	if l := p.s.lists[m.Key]; l.judges() {
		if of, err = p.named(m.Key, &l.head, c); err != nil {
			p.stale("command")
			return
		}
	}
	if p.s.order, _ = p.s.command(m.Key, c, of); p.s.order == nil {
		p.h.note("command passed over")
	}
	p.next = (*process).prepare
}

func (p *process) named(key string, h *aside.Head, c aside.Command) (of named, err error) {
	if of.first, err = p.idAt(key, h.First); err != nil {
		return of, err
	}
	if at, ok := of.lastAt(h, c); ok {
		of.last, err = p.idAt(key, at)
	}
	return of, err
}

func (p *process) idAt(key string, index uint64) (string, error) {
	events, err := p.view().Aside(context.Background(), p.n, p.s.version, key, index, 1)
	if err != nil {
		return "", err
	}
	if len(events) == 0 {
		p.h.broken("event %d of the list of key %s is not there", index, key)
	}
	e, err := aside.DecodeEvent(events[0])
	return e.ID, err
}

// tend does one of the things that owner.tend does, and returns to the round.
func (p *process) tend() {
	p.next = (*process).load
	if len(p.r.msgs) == 0 {
		p.next = (*process).fill
	}
	if len(p.works) > 0 && p.h.rand.IntN(2) == 0 {
		p.result(take(p.h, &p.works))
		return
	}
	keys := slices.Sorted(maps.Keys(p.s.lists))
	if len(keys) == 0 {
		return
	}
	key := pick(p.h, keys)
	switch l := p.s.lists[key]; {
	case !l.stored:
	case l.head.Mark.Op == aside.Drop:
		p.dropPiece(key, l)
	case l.head.Mark.Op == aside.None && len(l.head.Commands) > 0 && (l.judged != l.head.First+1 || l.head.Status == aside.Parked):
		p.judge(key, l)
	case l.call == nil && !l.gaveUp:
		if _, ok := p.s.rules.due(&l.head, 0); ok {
			p.try(key, l)
		}
	}
}

// try makes an attempt at a list. Its result comes later.
func (p *process) try(key string, l *list) {
	n := 1 + p.h.rand.IntN(4)
	events, err := p.view().Aside(context.Background(), p.n, p.s.version, key, l.head.First, min(n, int(l.head.Len())))
	if err != nil {
		p.stale("list")
		return
	}
	states, err := p.view().Load(context.Background(), p.n, p.s.version, []string{key})
	if err != nil {
		p.stale("list")
		return
	}
	if l.head.Status == aside.Parked {
		p.h.broken("key %s is parked, and is tried by itself", key)
	}
	w := &listWork{shard: p.n, fence: p.s.fence, key: key, events: events, next: func() {}, spent: func() bool { return p.h.rand.IntN(6) == 0 }}
	w.begin(l, states[0])
	l.call = &call{attempt: attempt{key: key}, list: w}
	l.call.result = w.run(context.Background(), ledger{p.h, p.s})
	p.works = append(p.works, l.call)
}

// result takes the result of an attempt at a list, as owner.results does.
func (p *process) result(c *call) {
	l := p.s.lists[c.key]
	if l == nil || l.call != c {
		return
	}
	l.call = nil
	w := c.list.(*listWork)
	ch := &listChange{key: c.key, of: l}
	done := w.into(ch)
	done.err, done.ended, done.park = c.result.err, p.h.now, errors.Is(c.result.err, errParked)
	done, taken := ch.take(p.s.rules, done)
	if !taken {
		p.h.note("result of a retry thrown away")
		p.s.released(c.key, l)
		return
	}
	if done.done > 0 {
		p.h.note("retried")
	}
	p.change(ch, w.events[:done.done], func(of course, data []byte) course {
		if p.h.drops(data) {
			return of.drop(data)
		}
		return of.apply(data, p.h.deletes(data))
	})
}

// dropPiece drops a piece of a list, as owner.dropPiece does.
func (p *process) dropPiece(key string, l *list) {
	n := min(l.toDrop(), 1+p.h.rand.IntN(3))
	events, err := p.view().Aside(context.Background(), p.n, p.s.version, key, l.head.First, n)
	if err != nil {
		p.stale("drop")
		return
	}
	states, err := p.view().Load(context.Background(), p.n, p.s.version, []string{key})
	if err != nil {
		p.stale("drop")
		return
	}
	p.h.note("dropped by command")
	p.change(l.dropping(key, events, states[0]), events, func(of course, data []byte) course {
		if !p.h.doomed[string(data)] {
			p.h.broken("event%s is dropped, and no command names it", summary(data))
		}
		return of.drop(data)
	})
}

// judge judges the first command that waits for a list, as owner.judgeOne does.
func (p *process) judge(key string, l *list) {
	of, err := p.named(key, &l.head, l.head.Commands[0])
	if err != nil {
		p.stale("command")
		return
	}
	if ch, why := l.judgeFirst(key, of); ch != nil {
		if why == "" {
			p.h.note("command waited")
		}
		p.change(ch, nil, nil)
	}
}

// change commits a change of a list, which takes the first events from it.
func (p *process) change(ch *listChange, events [][]byte, settle func(course, []byte) course) {
	changes := []*listChange{ch}
	c := p.s.changeLists(changes)
	for range 1 + p.h.rand.IntN(10)/9 { // now and then the store's answer is lost, and the call repeated
		if p.view().Commit(context.Background(), c) != nil {
			p.stale("commit of a list")
			return
		}
	}
	slot := p.h.slots[p.n]
	if slot.version != c.Old {
		p.h.broken("shard %d has two owners: a list was changed under another version than the last one's", p.n)
	}
	by := change{lists: []string{ch.key}}
	after := content{c.New, maps.Clone(slot.keys)}
	of := after.keys[ch.key]
	for _, b := range events {
		e, err := aside.DecodeEvent(b)
		if err != nil || !bytes.HasPrefix(of.waits, e.Data) {
			p.h.broken("event%s leaves the list of key %s, which holds:%s", summary(e.Data), ch.key, summary(of.waits))
		}
		of = settle(of, e.Data)
		of.waits = of.waits[len(e.Data):]
		by.settled = append(by.settled, e.Data)
	}
	after.keys[ch.key] = of
	if ch.writes {
		by.states = []string{ch.key}
	}
	p.h.hold(p.n, after, by)
	p.h.owes(c.Owed, by.settled)
	if p.h.one(15) {
		p.anew("died behind a commit of a list")
		return
	}
	p.s.changedLists(c, changes)
	p.h.tellSettled(c.Owed)
}
