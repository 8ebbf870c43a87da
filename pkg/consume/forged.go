package consume

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"example.com/lockstep/pkg/dedup"
	"example.com/lockstep/pkg/frame"
)

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

// suspectEvery is how often each of the two lines is logged at most.
const suspectEvery = time.Minute

// suspicion tells operators. It is safe for concurrent use.
type suspicion struct {
	mu                   sync.Mutex
	closedAt, jumpedAt   time.Time // when each line was logged last
	closedSum, jumpedSum int       // from then on
}

// note takes the counts of a commit.
func (n *suspicion) note(log *slog.Logger, shard int, s suspect, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closedSum += s.closed
	n.jumpedSum += s.jumps
	if s.closed > 0 && (n.closedAt.IsZero() || now.Sub(n.closedAt) >= suspectEvery) {
		log.Warn("events of closed sessions were dropped: late copies, or another client has begun a session in their publisher's name",
			"shard", shard, "last", s.closedLast, "events", n.closedSum)
		n.closedAt, n.closedSum = now, 0
	}
	if s.jumps > 0 && (n.jumpedAt.IsZero() || now.Sub(n.jumpedAt) >= suspectEvery) {
		log.Warn("a publisher's floor rose further than it can have sent: what it sends below that is dropped; does another client send in its name?",
			"shard", shard, "last", s.jumpLast, "times", n.jumpedSum)
		n.jumpedAt, n.jumpedSum = now, 0
	}
}
