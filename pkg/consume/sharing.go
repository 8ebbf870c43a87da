package consume

import (
	"errors"
	"fmt"
	"time"
)

// minSharing is how many shards must want to share a feed for one to be opened: for fewer it saves nothing.
const minSharing = 2

var (
	// errFull ends the seat of a shard that takes its messages more slowly than they come.
	errFull = errors.New("the shard's queue is full")
	// errMoved ends a seat, or a feed, that does not deliver a message again as it was before.
	errMoved = errors.New("the log has changed")
)

// mark names a message of a log.
type mark struct {
	seq  uint64
	time time.Time
}

func (m mark) is(o mark) bool { return m.seq == o.seq && m.time.Equal(o.time) }

// sharing decides which shards of one log share a feed, and which of its messages each of them takes. It has no goroutine, no
// clock and no connection.
//
// A shard that asks for a seat names the newest message that it has taken. A feed is opened at or before the newest messages of
// all that are to sit in it, so each shard's messages continue, without a hole, where it is; the ones that it has are dropped.
// When the set of shards is to change, another feed takes the place of the one at hand, beginning at or before the newest
// message that this one has delivered; until its first message has come, all shards go on with what they have.
//
// A feed must begin with the very message that it was opened at, and deliver a shard's newest message again before any later
// one. Else the log has lost its tail, or is another one, and the shards that notice find their places by themselves.
type sharing struct {
	maxMessages, maxBytes int // of one seat's queue; it takes any one message

	seats map[string]*seat // by subject
	now   *span            // at hand, or nil
	next  *span            // being opened, or nil
}

// span is one shared feed.
type span struct {
	subjects map[string]bool
	from     mark   // its first message
	end      mark   // the newest one that it has delivered
	pending  uint64 // messages that wait for it, as its newest one said
}

// maxCatchUp is how far, in sequences of the stream, a feed may begin before the newest message known: a shard whose newest
// message is older asks until its next one.
const maxCatchUp = 10_000

// seat is a shard's place among those that share a feed, from when it asks until it leaves or the seat ends.
type seat struct {
	subject string
	last    mark // the newest message that the shard has, be it in its queue
	sits    bool // the feed at hand gives it messages
	proven  bool // the feed has delivered last, or begins later and continues one that had
	queue   queue
	ended   error
	wake    chan struct{} // cap 1: there is something new
}

func newSharing(maxMessages, maxBytes int) *sharing {
	return &sharing{maxMessages: maxMessages, maxBytes: maxBytes, seats: make(map[string]*seat)}
}

// ask adds a shard that has taken all its messages up to one.
func (s *sharing) ask(subject string, last mark) *seat {
	st := &seat{subject: subject, last: last, wake: make(chan struct{}, 1)}
	s.seats[subject] = st
	return st
}

// refresh takes the newest message of a shard that still has a feed of its own.
func (s *sharing) refresh(st *seat, last mark) {
	if s.seats[st.subject] == st && !st.sits {
		st.last = last
	}
}

// leave removes a seat.
func (s *sharing) leave(st *seat) {
	if s.seats[st.subject] == st {
		delete(s.seats, st.subject)
	}
	st.queue = queue{}
	s.idle()
}

// plan returns the feed that is to be opened now, nil for none.
func (s *sharing) plan() *span {
	sp := s.due()
	if sp != nil {
		s.next = sp
	}
	return sp
}

// due is what plan returns.
func (s *sharing) due() *span {
	if s.next != nil {
		return nil
	}
	sp, same := &span{subjects: make(map[string]bool)}, s.now != nil
	newest := s.newest()
	for subject, st := range s.seats {
		if !st.sits && st.last.seq+maxCatchUp < newest {
			continue
		}
		sp.subjects[subject] = true
		same = same && st.sits
	}
	switch {
	case len(sp.subjects) == 0, s.now == nil && len(sp.subjects) < minSharing:
		return nil
	case same && len(sp.subjects) == len(s.now.subjects):
		return nil
	}
	sp.from = s.start(sp)
	return sp
}

// start is the message at which a feed is to begin: one of its shards' newest ones. Those that sit in the feed at hand have all
// up to the newest of theirs; another one needs what lies after its own.
func (s *sharing) start(sp *span) (from mark) {
	for subject := range sp.subjects {
		if st := s.seats[subject]; st.proven && st.last.seq > from.seq {
			from = st.last
		}
	}
	for subject := range sp.subjects {
		if st := s.seats[subject]; !st.proven && (from.seq == 0 || st.last.seq < from.seq) {
			from = st.last
		}
	}
	return from
}

// newest is the sequence of the newest message known.
func (s *sharing) newest() (seq uint64) {
	if s.now != nil {
		seq = s.now.end.seq
	}
	for _, st := range s.seats {
		seq = max(seq, st.last.seq)
	}
	return seq
}

// take takes a message that a feed has delivered. An error says that the feed is not to be used.
func (s *sharing) take(sp *span, subject string, m message, pending uint64) error {
	at := mark{m.seq, m.time}
	switch sp {
	case s.now:
	case s.next:
		if !at.is(sp.from) {
			return fmt.Errorf("%w: message %d of %s is to be there, and the first one is %d of %s",
				errMoved, sp.from.seq, sp.from.time.UTC(), at.seq, at.time.UTC())
		}
		s.begin()
	default: // another one has taken its place
		return nil
	}
	sp.end, sp.pending = at, pending
	if st := s.seats[subject]; st != nil && st.sits && s.now == sp {
		s.give(st, m)
	}
	return nil
}

// begin puts the feed that was being opened in the place of the one at hand, with the shards that sit there, and those that
// asked and have all that lies before it.
func (s *sharing) begin() {
	s.now, s.next = s.next, nil
	for subject, st := range s.seats {
		if st.sits = st.sits || s.now.subjects[subject] && st.last.seq >= s.now.from.seq; st.sits {
			st.proven = st.last.seq < s.now.from.seq
		}
	}
	s.idle()
}

// give hands a message to a shard, unless it has it.
func (s *sharing) give(st *seat, m message) {
	at := mark{m.seq, m.time}
	switch {
	case at.seq < st.last.seq:
		return
	case at.seq == st.last.seq && at.is(st.last):
		if st.proven {
			return
		}
		st.proven = true
	case at.seq == st.last.seq || !st.proven:
		s.end(st, fmt.Errorf("%w: message %d of %s is to be there, and there is %d of %s",
			errMoved, st.last.seq, st.last.time.UTC(), at.seq, at.time.UTC()))
		return
	case st.queue.len() > 0 && (st.queue.len() >= s.maxMessages || st.queue.bytes+len(m.data) > s.maxBytes):
		s.end(st, errFull)
		return
	default:
		st.last = at
		st.queue.push(m)
	}
	st.rouse()
}

// end ends a seat. Its queue is left to the shard.
func (s *sharing) end(st *seat, why error) {
	delete(s.seats, st.subject)
	st.ended = why
	st.rouse()
	s.idle()
}

// broke takes the end of a feed. The shards that sit in it lose their seats; those that asked go on asking.
func (s *sharing) broke(sp *span, why error) {
	switch sp {
	case s.next:
		s.next = nil
	case s.now:
		for _, st := range s.seats {
			if st.sits {
				s.end(st, why)
			}
		}
		s.now = nil
	}
}

// idle lets go of feeds that no shard wants.
func (s *sharing) idle() {
	if len(s.seats) == 0 {
		s.next = nil
	}
	for _, st := range s.seats {
		if st.sits {
			return
		}
	}
	s.now = nil
}

// rouse tells the shard that something is new.
func (st *seat) rouse() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// queue holds messages for one shard.
type queue struct {
	msgs  []message
	head  int // those before it were taken
	bytes int
}

func (q *queue) len() int { return len(q.msgs) - q.head }

func (q *queue) push(m message) {
	if q.head > 0 && len(q.msgs) == cap(q.msgs) {
		n := copy(q.msgs, q.msgs[q.head:])
		clear(q.msgs[n:])
		q.msgs, q.head = q.msgs[:n], 0
	}
	q.msgs, q.bytes = append(q.msgs, m), q.bytes+len(m.data)
}

func (q *queue) pop() (m message, ok bool) {
	if q.len() == 0 {
		return m, false
	}
	m, q.msgs[q.head] = q.msgs[q.head], m
	q.head, q.bytes = q.head+1, q.bytes-len(m.data)
	if q.head == len(q.msgs) {
		q.msgs, q.head = q.msgs[:0], 0
	}
	return m, true
}
