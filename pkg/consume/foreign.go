package consume

import (
	"log/slog"
	"sync"
	"time"
)

// foreignEvery is the least time between two log lines of a worker about foreign messages: a client may write without end.
const foreignEvery = time.Minute

// foreignLog counts the messages that a worker has passed over and not yet logged.
type foreignLog struct {
	mu     sync.Mutex // guards what follows
	logged time.Time
	unsaid passed
}

// add takes the counts of one round, and returns those that are to be logged now, if any.
func (f *foreignLog) add(of passed, now time.Time) (say passed, due bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unsaid = passed{f.unsaid.foreign + of.foreign, f.unsaid.copies + of.copies, of.last}
	if !f.logged.IsZero() && now.Sub(f.logged) < foreignEvery {
		return passed{}, false
	}
	say, f.unsaid, f.logged = f.unsaid, passed{}, now
	return say, true
}

// note takes the counts of a round of a shard: for the metrics, and for the log from time to time.
func (f *foreignLog) note(log *slog.Logger, m *metrics, shard int, stream string, of passed) {
	if of == (passed{}) {
		return
	}
	m.passed.WithLabelValues("foreign").Add(float64(of.foreign))
	m.passed.WithLabelValues("copy").Add(float64(of.copies))
	if say, due := f.add(of, time.Now()); due {
		log.Warn("passed over messages that no router stored in this log; which other client may write there?",
			"stream", stream, "shard", shard, "message", say.last, "foreign", say.foreign, "copies", say.copies)
	}
}
