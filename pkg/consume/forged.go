package consume

import (
	"log/slog"
	"sync"
	"time"
)

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
