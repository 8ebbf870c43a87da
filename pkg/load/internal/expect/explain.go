package expect

import "slices"

// explain looks for a point at which the state may have begun and for outcomes of the events given up, so that the events
// in between come to the state.
func (c *check) explain() (f *Finding, tooMany bool) {
	if len(c.exceptions) == 0 && len(c.starts) == 1 {
		return nil, false // there is one state to compare with, and it differs
	}
	for _, s := range slices.Backward(c.starts) {
		found, ok := c.explains(s, false, c.got.Proof)
		kept := false
		if !found && !s.allowed() {
			kept, _ = c.explains(s, true, c.got.Proof)
		}
		switch {
		case found && s.allowed():
			return &Finding{Applied: s.applied + c.got.Count}, false
		case found:
			return c.undeleted(s, "were not applied"), false
		case kept:
			return c.undeleted(s, "deleted nothing (does the handler return consume.Delete for them?)"), false
		case !ok && s.allowed():
			tooMany = true
		}
	}
	return nil, tooMany
}

// startsLate tells whether the state is what the key's last events come to, all of them acknowledged. It tells so for as long
// as there are not too many digests to compute: this is for people.
func (c *check) startsLate() bool {
	after := c.book.sent[c.key] - uint32(c.got.Count)
	if len(c.exceptions) > 0 && c.exceptions[len(c.exceptions)-1].counter > after {
		return false
	}
	if c.book.late += int(c.got.Count); c.book.late > maxLate {
		return false
	}
	sum := uint64(0)
	for ev := range c.book.again(c.key, nil, after) {
		sum = ev.after(sum)
	}
	return sum == c.got.Chain
}

// undeleted is the finding that events that follow s have not deleted the state.
func (c *check) undeleted(s start, why string) *Finding {
	f := c.found(Lost, s.missed, "%d acknowledged events that delete its state %s: the state goes on from event %d", s.missed, why, s.after+1)
	f.Applied = s.applied + c.got.Count
	return &f
}
