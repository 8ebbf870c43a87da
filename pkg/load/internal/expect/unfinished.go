package expect

import "slices"

// CheckUnfinished is Check for a key whose shard has not reached the log's end.
// A state that the key's first events come to is right so far: the others may
// yet be applied. Any other state is wrong: no later event mends it. Where events
// were dropped, only the count is compared.
func (b *Book) CheckUnfinished(key int, got State) Finding {
	if got.SetAside > 0 {
		return b.checkList(key, got, false)
	}
	f := b.Check(key, got)
	deletes := b.lastDeleted(key) > 0
	switch {
	case f.Kind == Fine || f.Kind == Dropped || f.Kind == Duplicated && !deletes || got.Found && got.Count+got.Dropped == 0:
		return f
	case f.Kind == Unknown && deletes && !b.repeats(key):
		return f
	}
	exceptions := b.unsettled(key, b.exceptions[int32(key)])
	c := check{search: search{book: b, key: key, exceptions: exceptions}, got: got, starts: b.starts(key, exceptions)}
	if got.Dropped > 0 {
		return c.droppedSoFar(f)
	}
	p := c.begins()
	byCount := c.count(got.Count).Kind
	switch {
	case p.found:
		return c.soFar(p.left, p.applied)
	case !p.ok:
		return c.found(Unknown, 0, "%d of %d events applied so far: too many outcomes to try", got.Count, b.sent[key])
	case got.Count > p.most:
		return c.found(Duplicated, got.Count-p.most, "%s%d applied so far to one state, %s expected", c.of(), got.Count, amount(0, p.most, p.most))
	case byCount != Lost && byCount != Duplicated || f.Kind == Lost && byCount != Lost:
		return f
	case !b.repeats(key):
		return c.found(Unknown, 0, notRepeated)
	}
	kind := Reordered
	if slices.ContainsFunc(exceptions, func(e exception) bool { return e.outcome == GivenUp }) {
		kind = Unknown
	}
	return c.found(kind, 0, "%d of %d events applied so far, and these are not the first ones sent", got.Count, b.sent[key])
}

// soFar is the finding that a key's first events are applied and the others are not yet.
func (c *check) soFar(left, applied uint64) Finding {
	f := c.found(Unfinished, left, "%d of %d events applied so far", applied, c.book.sent[c.key])
	f.Applied = applied
	return f
}

// droppedSoFar judges a key of which events were dropped, given what Check found.
func (c *check) droppedSoFar(f Finding) Finding {
	switch n := c.got.Count + c.got.Dropped; {
	case f.Kind == Lost:
		return c.soFar(f.Events, c.got.Count)
	case f.Kind == Duplicated && n <= uint64(c.book.sent[c.key]): // a state that is still to be deleted
		return c.soFar(0, c.got.Count)
	}
	return f
}

// beginning tells of the first events of a key that a state is what they come to.
type beginning struct {
	found   bool
	ok      bool   // there were not too many choices, if none was found
	left    uint64 // acknowledged events that follow them
	applied uint64 // of them, those that were applied
	most    uint64 // the highest count that any first events come to
}

// grown is what some of a key's first events come to.
type grown struct {
	chain
	before uint64 // events applied before the state began
}

// begins looks for the fewest first events of a key that come to its state, with some choice of those given up.
func (c *check) begins() (p beginning) {
	states := []grown{{}}
	var stored, count uint64 // events so far; the most of them in one state
	for ev := range c.book.again(c.key, c.exceptions, 0) {
		if p.look(states, c.got); p.found && ev.outcome == Stored {
			p.left++
		}
		if p.found || ev.outcome == NotStored {
			continue
		}
		if ev.outcome == Stored {
			stored++
		}
		c.digests += len(states)
		if states = c.after(states, ev, stored); c.digests > maxDigests || len(states) > maxChains {
			return p
		}
		if !ev.deletes {
			count++
		} else if ev.outcome == Stored {
			count = 0
		}
		p.most = max(p.most, count)
	}
	p.look(states, c.got)
	p.ok = true
	return p
}

// look enters whether one of the states is the one that the key has.
func (p *beginning) look(states []grown, got State) {
	for _, g := range states {
		if !p.found && g.chain == (chain{got.Count, got.Chain}) {
			p.found, p.applied = true, g.before+g.count
		}
	}
}

// after returns what states come to with one more event, of which stored are acknowledged up to it.
func (c *check) after(states []grown, ev made, stored uint64) (next []grown) {
	for _, g := range states {
		if ev.outcome == GivenUp {
			next = append(next, g)
		}
		if !ev.deletes && g.count < c.got.Count {
			next = append(next, grown{g.apply(ev.link), g.before})
		}
	}
	if !ev.deletes {
		return next
	}
	if ev.outcome == GivenUp {
		stored++
	}
	if !slices.ContainsFunc(next, func(g grown) bool { return g.chain == chain{} }) {
		next = append(next, grown{before: stored})
	}
	return next
}
