package consume

import (
	"sync"
	"time"
)

// passed counts messages of a log that were passed over, as no router stored them there.
type passed struct {
	foreign int    // neither a batch nor a message with a kind
	copies  int    // of a message for another shard or epoch
	last    uint64 // the newest one's sequence
}

// passedEvery is how often a worker says at most what it passed over: somebody may write without end.
const passedEvery = time.Minute

// passing is what a worker has passed over and not yet said.
type passing struct {
	mu    sync.Mutex // guards what follows
	said  time.Time
	since passed
}

// add takes what one round passed over, and returns what is to be said now, if anything.
func (p *passing) add(of passed, now time.Time) (say passed, due bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = passed{p.since.foreign + of.foreign, p.since.copies + of.copies, of.last}
	if !p.said.IsZero() && now.Sub(p.said) < passedEvery {
		return passed{}, false
	}
	say, p.since, p.said = p.since, passed{}, now
	return say, true
}

// passedOver counts what a round passes over, and says so from time to time.
func (w *Worker) passedOver(shard int, f *feed, r *round) {
	if r.passed == (passed{}) {
		return
	}
	w.metrics.passed.WithLabelValues("foreign").Add(float64(r.passed.foreign))
	w.metrics.passed.WithLabelValues("copy").Add(float64(r.passed.copies))
	if say, due := w.passing.add(r.passed, time.Now()); due {
		w.cfg.Log.Warn("passed over messages that no router stored in this log; who else may write there?",
			"stream", f.stream, "shard", shard, "message", say.last, "foreign", say.foreign, "copies", say.copies)
	}
}
