package expect

import (
	"fmt"
	"slices"
)

// Kind says what is wrong with a key.
type Kind uint8

const (
	Fine       Kind = iota
	Lost            // the count falls short, or an event that deletes was not applied
	Duplicated      // the count is too high
	Reordered       // the right count with another chain
	Unproven        // no state where one is expected: all events are lost, or the state was deleted
	Unknown         // events were given up and no outcome of theirs explains the state, or it cannot be told
	Unfinished      // right so far: what is missing lies in the log, before which the key's shard stands
	Dropped         // right as far as counts tell: events were dropped
	SetAside        // right so far: the missing events wait in the key's list
)

func (k Kind) String() string {
	return [...]string{"fine", "lost", "duplicated", "reordered", "unproven", "unknown", "unfinished", "dropped", "set aside"}[k]
}

// Finding is what was found at one key.
type Finding struct {
	Kind    Kind
	Events  uint64 // how many are lost, duplicated, unproven, unfinished, dropped or set aside
	Applied uint64 // events that were applied, as far as the state shows
	Detail  string // for people; empty if the key is fine
	Deleted bool   // the key is fine and has no state, as its last event deletes

	// Of a key that has a list, for every kind of key:
	SetAside uint64 // events in it
	Parked   bool   // they wait for an operator
	Expected bool   // the list begins with an event that fails, as generate says
}

// Check compares what the store holds for a key with what was sent. The key's
// shard has reached the log's end: what is missing is lost. See CheckUnfinished.
//
// The count and the chain are those of the events that follow the last one that deletes. They tell nothing of the events
// before it, if the one that deletes was applied.
func (b *Book) Check(key int, got State) Finding {
	if got.SetAside > 0 {
		return b.checkList(key, got, true)
	}
	exceptions := b.unsettled(key, b.exceptions[int32(key)])
	if len(exceptions) == 0 && got == b.want(key) {
		return Finding{Applied: uint64(b.sent[key]), Deleted: !got.Found && b.sent[key] > 0}
	}
	c := check{search: search{book: b, key: key, exceptions: exceptions}, got: got}
	if b.lastDeleted(key) > 0 && !b.repeats(key) {
		return c.found(Unknown, 0, notRepeated)
	}
	c.starts = b.starts(key, exceptions)
	switch {
	case got.Dropped > 0:
		return c.dropped()
	case !got.Found:
		return c.stateless()
	case got.Count == 0:
		return c.found(Unknown, 0, "it has a state to which no event was applied")
	}
	return c.proof()
}

// check is the check of one key.
type check struct {
	search
	got    State
	starts []start
}

// last is where the state began if every event was applied.
func (c *check) last() start { return c.starts[len(c.starts)-1] }

func (c *check) found(k Kind, events uint64, format string, args ...any) Finding {
	f := Finding{Kind: k, Events: events, Applied: c.got.Count, Detail: fmt.Sprintf(format, args...)}
	if k != Unproven && len(c.starts) > 0 {
		f.Applied += c.last().applied
	}
	return f
}

// proof compares the count and the chain.
func (c *check) proof() Finding {
	explained, tooMany := c.explain()
	if explained != nil {
		return *explained
	}
	if f := c.count(c.got.Count); f.Kind != Fine {
		if f.Kind == Lost && c.startsLate() {
			n := uint64(c.book.sent[c.key]) - c.got.Count
			f.Detail += fmt.Sprintf(": its state begins with event %d, "+
				"so those before are lost, or the handler deleted the state and generate does not say so", n+1)
		}
		return f
	}
	switch {
	case tooMany:
		return c.found(Unknown, 0, "%s: too many outcomes to try", c.sent())
	case len(c.exceptions) > 0 && !c.book.repeats(c.key): // else nothing was made again to compare with
		return c.found(Unknown, 0, "%s: %s", c.sent(), notRepeated)
	case c.certain():
		return c.found(Reordered, 0, "%d events applied as expected%s, but their chain is %016x and not that of the events sent",
			c.got.Count, c.where(), c.got.Chain)
	}
	return c.found(Unknown, 0, "%s: no outcome of theirs gives the %d applied with chain %016x", c.sent(), c.got.Count, c.got.Chain)
}

// certain tells whether exactly one state is right.
func (c *check) certain() bool {
	s := c.last()
	return s.open == 0 && (len(c.starts) == 1 || !c.starts[len(c.starts)-2].allowed())
}

// count judges a number of events alone. It is Fine within what is allowed.
func (c *check) count(n uint64) Finding {
	least, most := c.last().certain, uint64(0)
	for _, s := range c.starts {
		if s.allowed() {
			most = max(most, s.most())
		}
	}
	switch {
	case n < least && least == most && len(c.exceptions) == 0 && len(c.starts) == 1:
		return c.found(Lost, least-n, "%d of %d events applied", n, least)
	case n < least:
		return c.found(Lost, least-n, "%s%d applied%s, %s expected", c.of(), n, c.where(), amount(least, most, least))
	case n > most:
		return c.found(Duplicated, n-most, "%s%d applied%s, %s expected", c.of(), n, c.where(), amount(least, most, most))
	}
	return Finding{}
}

// amount is n in words, one end of a range.
func amount(least, most, n uint64) string {
	switch {
	case least == most:
		return fmt.Sprint(n)
	case n == least:
		return fmt.Sprintf("at least %d", n)
	default:
		return fmt.Sprintf("at most %d", n)
	}
}

// where says which events a count is of, if not of all.
func (c *check) where() string {
	if s := c.last(); s.after > 0 {
		return fmt.Sprintf(" after event %d, which deletes", s.after)
	}
	return ""
}

// sent says what became of the events sent.
func (c *check) sent() string {
	givenUp := 0
	for _, e := range c.exceptions {
		if e.outcome == GivenUp {
			givenUp++
		}
	}
	return fmt.Sprintf("of %d events sent %d were given up and %d not stored", c.book.sent[c.key], givenUp, len(c.exceptions)-givenUp)
}

func (c *check) of() string {
	if len(c.exceptions) == 0 {
		return ""
	}
	return c.sent() + ", "
}

// stateless judges a key without a state.
func (c *check) stateless() Finding {
	s := c.last() // fewer events follow it than any other
	if s.certain == 0 {
		return Finding{Applied: s.applied, Deleted: s.after > 0}
	}
	return c.found(Unproven, s.certain, "it has no state, though %d events%s were acknowledged: "+
		"all are lost, or the handler deleted the state with an event of which generate does not say so", s.certain, c.where())
}

// dropped judges a key of which events were dropped: by the count alone. An event that deletes may be among them.
func (c *check) dropped() Finding {
	n := c.got.Count + c.got.Dropped
	for _, s := range slices.Backward(c.starts) {
		least := s.certain + s.missed
		if s.missed <= c.got.Dropped && n >= least && n <= least+s.open+s.skipped {
			f := c.found(Dropped, c.got.Dropped, "%d of %d events dropped, so only their count was compared", c.got.Dropped, n)
			f.Applied = s.applied + c.got.Count
			return f
		}
	}
	f := c.count(n)
	if f.Kind == Fine {
		return c.found(Unknown, 0, "%s%d applied and %d dropped: no outcome gives as many", c.of(), c.got.Count, c.got.Dropped)
	}
	f.Detail += fmt.Sprintf(" (%d of them dropped)", c.got.Dropped)
	return f
}
