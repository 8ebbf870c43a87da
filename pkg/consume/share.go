package consume

import "time"

const (
	// tipLag is how many messages may wait for a shard that counts as being at the log's tip.
	tipLag = 32
	// patienceMax is the longest time that a shard must have been there before it asks to share a feed again.
	patienceMax = time.Minute
)

// tip says when a shard asks to share a feed: when it has kept up with its log for a while, and for longer each time that it
// has fallen back soon.
type tip struct {
	patience time.Duration
	reached  time.Time // zero: the shard lags
}

// steady takes a shard's lag, and tells whether it has been small for long enough.
func (t *tip) steady(lag uint64, now time.Time) bool {
	switch {
	case lag > tipLag:
		t.reached = time.Time{}
		return false
	case t.reached.IsZero():
		t.reached = now
	}
	return now.Sub(t.reached) >= t.patience
}

// fell says that a shard could not keep up with a shared feed.
func (t *tip) fell(now time.Time, least time.Duration) {
	if now.Sub(t.reached) > patienceMax {
		t.patience = least
	}
	t.patience, t.reached = min(2*t.patience, patienceMax), time.Time{}
}

// share asks for a seat in the shared feed once the shard is at the log's tip. It is called between two rounds.
func (o *owner) share() {
	switch {
	case o.messages == nil:
	case o.seat != nil:
		o.seat.refresh(o.last)
	case o.tip.steady(o.feed.lag(), time.Now()):
		o.seat = o.feeds.ask(o.feed.stream, o.feed.subject, o.epoch.Shards, o.last)
	}
}

// takeShared takes a message of the shared feed that has arrived, and acts on the news of the shard's seat. A shard that is too
// slow loses its seat: it takes the rest of its queue and goes on with a feed of its own.
func (o *owner) takeShared() *ending {
	if o.seat == nil {
		return nil
	}
	reached, full, err := o.seat.look()
	if err != nil {
		return because(explained(o.link, err))
	}
	if reached && o.messages != nil {
		o.messages = nil
		o.feed.moved(o.seat)
		o.closing.Go(o.feed.reader.close) // it may wait for the server
	}
	for {
		m, ok := o.takeSeat()
		if !ok {
			break
		}
		if err := o.add(m); err != nil || len(o.round.msgs) > 0 {
			return because(err)
		} // else the shard has it from its own feed; those behind it rouse nobody again
	}
	if !full {
		return nil
	}
	o.tip.fell(time.Now(), o.waits.tip)
	o.seat.leave()
	o.seat = nil
	if o.messages != nil {
		return nil
	}
	return &ending{next: rest}
}

// takeSeat takes a message of the shared feed, if one has arrived.
func (o *owner) takeSeat() (message, bool) {
	m, ok := o.seat.pop()
	if ok {
		o.feed.hold()
	}
	return m, ok
}

// interrupted is why the messages at hand cannot be relied on any more, or nil.
func (o *owner) interrupted() error {
	if err := o.feed.err(); err != nil {
		return err
	}
	return o.seat.err()
}
