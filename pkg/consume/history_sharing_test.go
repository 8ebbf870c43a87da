package consume

import (
	"errors"
	"fmt"
)

// desk is the feed that the processes of one worker share while they are at the log's tip. It does what sharedFeed does.
type desk struct {
	h    *history
	plan *sharing
	read map[*span]int // so many messages of the log a feed has passed
}

var errCut = errors.New("the feed broke")

// openDesks lets shards share feeds, of one worker or of two. Half of these histories are calm.
func (h *history) openDesks() {
	if h.calm = h.rand.IntN(2) == 0; h.calm {
		h.shards = 2 + h.rand.IntN(3)
	}
	for range 1 + h.rand.IntN(2) {
		h.desks = append(h.desks, &desk{h: h, plan: newSharing(1+h.rand.IntN(4), 1<<20), read: make(map[*span]int)})
	}
}

func subjectOf(shard int) string { return fmt.Sprint("shard ", shard) }

// work opens the feed that the seats want, and lets those that are open deliver some messages, or break.
func (d *desk) work() {
	if sp := d.plan.plan(); sp != nil {
		d.read[sp] = int(sp.from.seq) - 1
		d.h.note("shared feed opened")
	}
	for _, sp := range []*span{d.plan.now, d.plan.next} {
		switch {
		case sp == nil:
		case d.h.one(30):
			d.h.note("shared feed broke")
			d.plan.broke(sp, errCut)
		default:
			for range 1 + d.h.rand.IntN(4) {
				d.deliver(sp)
			}
		}
	}
}

// deliver hands over a feed's next message, if there is one.
func (d *desk) deliver(sp *span) {
	for d.read[sp] < len(d.h.log) {
		m := &d.h.log[d.read[sp]]
		d.read[sp]++
		if subject := subjectOf(m.shard); sp.subjects[subject] {
			if err := d.plan.take(sp, subject, m.message, 0); err != nil {
				d.h.broken("a shared feed is not to be used, though the log is as it was: %v", err)
			}
			return
		}
	}
}

// share does what owner.share does. A worker has one process a shard that is not dead: another one gets no seat.
func (p *process) share() {
	switch d := p.desk; {
	case d == nil:
	case p.seat != nil:
		d.plan.refresh(p.seat, p.last)
	case p.last.seq > 0 && d.plan.seats[subjectOf(p.n)] == nil && p.atTip():
		p.h.note("seat asked for")
		p.seat = d.plan.ask(subjectOf(p.n), p.last)
	}
}

// atTip tells whether the process has taken all of its shard's log.
func (p *process) atTip() bool {
	for i := int(p.last.seq); i < len(p.h.log); i++ {
		if p.h.log[i].shard == p.n {
			return false
		}
	}
	return true
}

// unseat gives the seat up.
func (p *process) unseat() {
	if p.seat != nil {
		p.desk.plan.leave(p.seat)
	}
	p.seat, p.sits = nil, false
}

// arrived returns the shard's next message, of its own feed or of the shared one, that has not come before. ok is false if the
// process has another step to do now.
func (p *process) arrived() (m *message, ok bool) {
	for {
		if m, ok = p.shared(); m == nil && ok && !p.sits {
			m = p.arrive()
		}
		if m == nil || m.seq > p.last.seq {
			break
		}
	}
	if m != nil {
		p.last = mark{m.seq, m.time}
	}
	return m, ok
}

// shared does what owner.takeShared does.
func (p *process) shared() (m *message, ok bool) {
	if p.seat == nil {
		return nil, true
	}
	if p.h.healing {
		p.desk.work()
	}
	full := errors.Is(p.seat.ended, errFull)
	switch {
	case p.seat.ended == nil || full:
	case errors.Is(p.seat.ended, errCut):
		p.anew("seat lost")
		return nil, false
	default:
		p.h.broken("a seat ended, though the log is as it was: %v", p.seat.ended)
	}
	if p.seat.sits && p.seat.proven && !p.sits {
		p.h.note("seated")
		p.sits = true
	}
	if m, is := p.seat.queue.pop(); is {
		p.h.note("message of a shared feed")
		return &m, true
	}
	if full {
		p.h.note("seat full")
		own := !p.sits
		p.unseat()
		if !own {
			p.next = (*process).place
		}
		return nil, own
	}
	return nil, true
}
