package expect

// start is a point at which the state of a key may have begun: before the key's first event, or with one that deletes.
type start struct {
	after   uint32 // number of the event that deletes, 0 for the key's beginning
	applied uint64 // acknowledged events up to that one, and that one

	// Of the events that follow:
	certain uint64 // acknowledged, delete nothing
	open    uint64 // given up, delete nothing
	missed  uint64 // acknowledged, delete: if the state began here, they were not applied
	skipped uint64 // given up, delete
}

// allowed tells whether a state may have begun there without the loss of an acknowledged event that deletes.
func (s start) allowed() bool { return s.missed == 0 }

// most is how many events may have been applied to a state that began there; certain is the fewest.
func (s start) most() uint64 { return s.certain + s.open }

// starts returns the points at which a key's state may have begun, in order. The last one is allowed. No events are made
// again for a key of which none deletes.
func (b *Book) starts(key int, exceptions []exception) []start {
	var now start // counts the events up to now
	out := []start{now}
	if b.lastDeleted(key) == 0 {
		now.certain = uint64(b.sent[key]) - uint64(len(exceptions))
		for _, e := range exceptions {
			now.enter(e.outcome, false)
		}
	} else {
		for ev := range b.again(key, exceptions, 0) {
			now.enter(ev.outcome, ev.deletes)
			if ev.deletes && ev.outcome != NotStored {
				at := now
				at.after = ev.counter
				if ev.outcome == GivenUp {
					at.applied++
				}
				out = append(out, at)
			}
		}
	}
	for i, s := range out {
		out[i].certain, out[i].open = now.certain-s.certain, now.open-s.open
		out[i].missed, out[i].skipped = now.missed-s.missed, now.skipped-s.skipped
	}
	return out
}

// enter counts one event.
func (s *start) enter(o Outcome, deletes bool) {
	if o == Stored {
		s.applied++
	}
	switch {
	case o == Stored && deletes:
		s.missed++
	case o == Stored:
		s.certain++
	case o == GivenUp && deletes:
		s.skipped++
	case o == GivenUp:
		s.open++
	}
}
