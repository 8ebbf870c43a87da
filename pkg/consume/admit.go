package consume

import (
	"fmt"

	"example.com/lockstep/pkg/dedup"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
)

// admission walks through a round's items in the log's order and asks the deduplication record about each.
type admission struct {
	part      int // the part that publisher and verdict are of; -1: none yet
	publisher *dedup.Publisher
	verdict   dedup.Verdict
}

// tally counts the items that the record has seen and that are not committed.
type tally struct {
	duplicates int
	late       int    // of forgotten publishers
	lateLast   string // the newest of them, for operators
	suspect    suspect
}

// admit tells whether the item at i is to be applied, and remembers in the record that it is.
func (s *shard) admit(a *admission, r *round, i int) bool {
	it := &r.items[i]
	p := &r.parts[it.part]
	if p.plain {
		return true
	}
	if it.part != a.part {
		a.part = it.part
		a.publisher, a.verdict = s.record.Part(p.session, p.floor, r.msgs[it.msg].time)
		if a.verdict == dedup.Open {
			s.tally.suspect.part(p.session, a.publisher, p.floor)
		}
	}
	switch {
	case a.verdict == dedup.Late:
		m := &r.msgs[it.msg]
		s.tally.late++
		at := store.Position{Epoch: r.at.Epoch, Seq: m.seq, Time: m.time}
		s.tally.lateLast = fmt.Sprintf("publisher %s seq %d at %s", p.session.Publisher, it.ev.Seq, at)
		return false
	case a.verdict == dedup.Closed:
		s.tally.suspect.isClosed(p.session, it.ev.Seq, s.record.Newest(p.session.Publisher))
		return false
	case !a.publisher.Admit(it.ev.Seq):
		s.tally.duplicates++
		return false
	}
	return true
}

// readmit shows the record the items from from up to end once more. The record decides as it did before, for it depends on
// the log alone: the items' outcomes stay as they are.
func (s *shard) readmit(r *round, from, end int) {
	s.tally = tally{}
	a := admission{part: -1}
	for i := from; i < end; i++ {
		s.admit(&a, r, i)
	}
}

// suspect counts events of closed sessions and floors that jump. Our publishers cause them rarely. A client that sends in the
// name of a publisher causes them: it closes the publisher's session, or raises its floor, and from then on the publisher's
// own events are dropped.
type suspect struct {
	closed, jumps int
	closedLast    string
	jumpLast      string
}

// isClosed takes an event of a session that a newer one has closed. A late copy is one too.
func (s *suspect) isClosed(of frame.Session, seq, newest uint64) {
	s.closed++
	s.closedLast = fmt.Sprintf("publisher %s generation %d seq %d, closed by generation %d", of.Publisher, of.Generation, seq, newest)
}

// part takes a part of a frame that is open.
func (s *suspect) part(of frame.Session, p *dedup.Publisher, floor uint64) {
	if from, ok := p.Jump(); ok {
		s.jumps++
		s.jumpLast = fmt.Sprintf("publisher %s generation %d, from %d to %d", of.Publisher, of.Generation, from, floor)
	}
}
