package consume

import (
	"context"
	"fmt"
	"runtime"
)

// take waits for a message and fills the round with those that have arrived. One that cannot be read ends the round, and stops
// the shard once those before it are committed. No round is begun after the worker was paused.
func (o *owner) take() *ending {
	if o.leaving() { // looked at first: messages may never cease
		return &ending{next: handOver}
	}
	if o.round.bad != nil {
		return because(o.round.bad)
	}
	if end := o.tend(); end != nil {
		return end
	}
	if end := o.takeFirst(); end != nil {
		return end
	}
	o.takeMore()
	o.outages.answered()
	select {
	case <-o.turn: // looked at when the round has arrived: nothing is begun that came after the worker's answer
		return &ending{next: rest}
	default:
		return nil
	}
}

func (o *owner) takeFirst() *ending {
	for len(o.round.msgs) == 0 {
		if end := o.takeShared(); end != nil || len(o.round.msgs) > 0 {
			return end
		}
		select {
		case m := <-o.messages:
			if err := o.add(m); err != nil {
				return because(err)
			}
		case <-o.seat.wake():
		case call := <-o.crew.calls.ended:
			if end := o.tendAfter(call); end != nil {
				return end
			}
		case ask := <-o.asks:
			if err := o.answer(ask); err != nil {
				return because(err)
			}
		case <-o.tending.timer.C:
			if end := o.tend(); end != nil {
				return end
			}
		case <-o.tending.free:
			o.handlersReturned()
			o.setTimer()
		case <-o.tending.granted():
			if end := o.tendGranted(); end != nil {
				return end
			}
		case <-o.idle.C: // a store that went back in time is to be brought up to date though no event comes
			if err := o.checkVersion(o.link); err != nil {
				return because(explained(o.link, err))
			}
		case <-o.turn:
			return &ending{next: rest}
		case <-o.feed.broken:
			return because(explained(o.link, o.feed.failure))
		case <-o.own.Stop:
			return &ending{next: handOver}
		case <-o.link.Done():
			return because(context.Cause(o.link))
		}
	}
	return nil
}

// takeMore takes messages that have arrived, up to the bounds of a round.
func (o *owner) takeMore() {
	r := o.round
	for {
		r.share.hold(r.cost())
		if len(r.items) >= o.cfg.RoundEvents || len(r.msgs) >= o.cfg.RoundEvents || r.bytes >= o.cfg.RoundBytes || !r.share.left() {
			return
		}
		m, ok := o.arrived()
		if !ok {
			return
		}
		if r.bad = o.add(m); r.bad != nil {
			return
		}
	}
}

// arrived takes a message that has arrived. The client hands over one at a time, and must run to do so: without yielding to
// it a round out of a long backlog would be of two messages.
func (o *owner) arrived() (message, bool) {
	for range 3 {
		if m, ok := o.takeSeat(); ok {
			return m, true
		}
		select {
		case m := <-o.messages:
			return m, true
		default:
			runtime.Gosched()
		}
	}
	return message{}, false
}

// add adds a message to the round, unless it came before: two feeds deliver while the shard moves from one to the other.
func (o *owner) add(m message) error {
	if m.seq <= o.last.seq {
		o.feed.settle(1)
		return nil
	}
	if err := o.round.add(m); err != nil {
		return o.unreadable(m, err)
	}
	o.last = mark{m.seq, m.time}
	return nil
}

func (o *owner) unreadable(m message, err error) error {
	return fmt.Errorf("%w: shard %d: message %d of stream %s cannot be read: %w; "+
		"pass over it (worker accept-gap %d), or remove it (nats stream rmm %s %d)",
		errGap, o.n, m.seq, o.feed.stream, err, o.n, o.feed.stream, m.seq)
}
