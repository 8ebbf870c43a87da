package expect

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
)

// checkList judges a key of which events wait in its list: its state must be what the events before the list come to, and
// the list must hold those that follow. Ended: the key's shard has reached the log's end, so the list must hold all of them.
func (b *Book) checkList(key int, got State, ended bool) Finding {
	exceptions := b.unsettled(key, b.exceptions[int32(key)])
	c := check{search: search{book: b, key: key, exceptions: exceptions}, got: got}
	var f Finding
	switch c.starts = b.starts(key, exceptions); {
	case b.lastDeleted(key) > 0 && !b.repeats(key):
		f = c.found(Unknown, 0, notRepeated)
	case c.got.Dropped > 0:
		f = c.listAndDropped(ended)
	case c.got.Found && c.got.Count == 0:
		f = c.found(Unknown, 0, "it has a state to which no event was applied")
	default:
		f = c.parts(ended)
	}
	f.SetAside, f.Parked = c.got.SetAside, c.got.Parked
	return f
}

// parts judges the state and the length of the list, where no event was dropped.
func (c *check) parts(ended bool) Finding {
	p := c.part(ended)
	switch {
	case p.found:
		f := c.waiting(p.left)
		f.Applied, f.Expected = p.applied, p.fails
		return f
	case !p.ok:
		return c.found(Unknown, 0, "%s, %s: too many outcomes to try", c.sent(), c.amounts())
	}
	if f := c.countWithList(); f.Kind != Fine && (f.Kind != Lost || ended) {
		return f
	}
	switch {
	case !c.book.repeats(c.key):
		return c.found(Unknown, 0, notRepeated)
	case c.open() > 0:
		return c.found(Unknown, 0, "%s, %s: no outcome of theirs gives the chain %016x", c.sent(), c.amounts(), c.got.Chain)
	}
	return c.found(Reordered, 0, "%s, and those applied have the chain %016x, which is not that of the first events sent", c.amounts(), c.got.Chain)
}

// waiting is the finding that the missing events wait in the list, except for so many acknowledged ones that lie in the log.
func (c *check) waiting(left uint64) Finding {
	if left > 0 {
		return c.found(Unfinished, left, "%s of %d sent so far", c.amounts(), c.book.sent[c.key])
	}
	return c.found(SetAside, c.got.SetAside, "%s of %d sent", c.amounts(), c.book.sent[c.key])
}

// amounts says where the key's events are.
func (c *check) amounts() string {
	s := fmt.Sprintf("%d applied", c.got.Count)
	if c.got.Dropped > 0 {
		s += fmt.Sprintf(", %d dropped", c.got.Dropped)
	}
	return s + fmt.Sprintf(" and %d %s", c.got.SetAside, c.listed())
}

func (c *check) listed() string {
	if c.got.Parked {
		return "parked"
	}
	return "set aside"
}

// open is how many of the key's events were given up.
func (c *check) open() uint64 { return c.starts[0].open + c.starts[0].skipped }

// countWithList judges by the number of events alone. It is Fine within what is allowed.
func (c *check) countWithList() Finding {
	n := c.got.Count + c.got.Dropped + c.got.SetAside
	least, most, some, allowed := uint64(0), uint64(0), false, false
	for _, s := range c.starts {
		if s.missed > c.got.Dropped+c.got.SetAside {
			continue // an event that deletes was applied after it
		}
		from, to := s.certain+s.missed, s.certain+s.missed+s.open+s.skipped
		if !some || from < least {
			least = from
		}
		most, some = max(most, to), true
		allowed = allowed || n >= from && n <= to
	}
	switch {
	case allowed:
		return Finding{}
	case n > most:
		return c.found(Duplicated, n-most, "%s, %s expected together", c.amounts(), amount(least, most, most))
	case n < least:
		return c.found(Lost, least-n, "%s, %s expected together", c.amounts(), amount(least, most, least))
	}
	return c.found(Unknown, 0, "%s%s: no outcome gives as many", c.of(), c.amounts())
}

// listAndDropped judges a key with a list of which events were dropped: by the count alone.
func (c *check) listAndDropped(ended bool) Finding {
	f := c.countWithList()
	switch {
	case f.Kind == Fine:
		f = c.found(Dropped, c.got.Dropped, "%s of %d sent, so only their count was compared", c.amounts(), c.book.sent[c.key])
	case f.Kind == Lost && !ended:
		f = c.waiting(f.Events)
	}
	f.Applied = c.got.Count
	last := c.got.SetAside + uint64(len(c.exceptions)) // the list begins in them
	for ev := range c.book.again(c.key, c.exceptions, c.book.sent[c.key]-uint32(min(last, uint64(c.book.sent[c.key])))) {
		f.Expected = f.Expected || ev.fails
	}
	return f
}

// parting is where a key's events part: the state comes to those before it, the list begins with those behind it.
type parting struct {
	found   bool
	ok      bool   // there were not too many choices, if none was found
	after   uint32 // number of the last event before it
	applied uint64 // events before it that were applied
	left    uint64 // acknowledged events that follow those in the list
	fails   bool   // generate says of the list's first event that it fails
}

// part looks for the fewest first events of a key that come to its state, with some choice of those given up, so that the
// list has room for those that follow: for all of them, or, unless the shard has ended, for the first.
func (c *check) part(ended bool) (p parting) {
	states := []grown{{}}
	all := c.starts[0]
	ahead, open := all.certain+all.missed, all.open+all.skipped
	stored := uint64(0) // so far
	for ev := range c.book.again(c.key, c.exceptions, 0) {
		if p.look(states, c.got, ahead, open, ended); p.found {
			if ev.outcome != NotStored {
				p.fails = p.fails || ev.fails
			}
			if ev.outcome == Stored {
				return p
			}
			continue // it may be in the list or not
		}
		p.after = ev.counter
		switch ev.outcome {
		case NotStored:
			continue
		case Stored:
			ahead--
			stored++
		case GivenUp:
			open--
		}
		c.digests += len(states)
		if states = c.after(states, ev, stored); c.digests > maxDigests || len(states) > maxChains {
			return p
		}
	}
	p.ok = true // a list always holds an event, so none begins here
	return p
}

// look enters whether one of the states is the one that the key has, with so many acknowledged and open events ahead.
func (p *parting) look(states []grown, got State, ahead, open uint64, ended bool) {
	if got.SetAside > ahead+open || ended && got.SetAside < ahead {
		return
	}
	for _, g := range states {
		if g.chain == (chain{got.Count, got.Chain}) {
			p.found, p.applied = true, g.before+g.count
			p.left = ahead - min(ahead, got.SetAside)
			return
		}
	}
}

// CheckList is Check for a key whose list can be read: each calls take with the payloads of the events in it, in order, and
// returns take's error as it is or wrapped. They must be those that follow the events which the state comes to. Where events were
// dropped the list is not read. An error says that it could not be.
func (b *Book) CheckList(key int, got State, each func(take func(payload []byte) error) error) (Finding, error) {
	f := b.Check(key, got)
	if f.Kind != SetAside {
		return f, nil
	}
	exceptions := b.unsettled(key, b.exceptions[int32(key)])
	c := check{search: search{book: b, key: key, exceptions: exceptions}, got: got, starts: b.starts(key, exceptions)}
	next, stop := iter.Pull(b.again(key, exceptions, c.part(true).after))
	defer stop()
	n := 0 // payloads so far
	err := each(func(payload []byte) error {
		n++
		for ev, more := next(); more; ev, more = next() {
			switch {
			case ev.outcome != NotStored && bytes.Equal(ev.payload(), payload):
				return nil
			case ev.outcome == Stored:
				return fmt.Errorf("%w: its event %d is not event %d of those sent", errList, n, ev.counter)
			}
		}
		return fmt.Errorf("%w: its event %d is none of those that must follow", errList, n)
	})
	switch {
	case errors.Is(err, errList):
	case err != nil:
		return f, err
	default:
		for ev, more := next(); more && err == nil; ev, more = next() {
			if ev.outcome == Stored {
				err = fmt.Errorf("%w: it ends before event %d of those sent", errList, ev.counter)
			}
		}
	}
	if err != nil {
		f.Kind, f.Events, f.Detail = Reordered, 0, fmt.Sprintf("%s, and %v", f.Detail, err)
	}
	return f, nil
}

// errList says that a list does not hold the events that it must.
var errList = errors.New("its list is wrong")
