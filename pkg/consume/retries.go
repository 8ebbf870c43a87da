package consume

import (
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/store"
)

// retryRules say how often the events of lists are tried, and when.
type retryRules struct {
	attempts uint64        // of an event, until its key is parked
	min, max time.Duration // the wait behind the first attempt, and the longest one
}

// backoff is the wait behind so many attempts, at least one. It doubles with each, up to a bound. draw is a random number from
// 0 to below 1, which takes up to half of it away: keys that failed at the same time are not all tried at the same time.
func (r retryRules) backoff(attempts uint64, draw float64) time.Duration {
	wait := r.min
	for i := uint64(1); i < attempts && wait < r.max; i++ {
		wait *= 2
	}
	wait = min(wait, r.max)
	return wait - time.Duration(draw*float64(wait)/2)
}

// due is when a list is to be worked on next; false: not before an operator says so. The zero time is at once.
func (r retryRules) due(h *aside.Head, draw float64) (at time.Time, ok bool) {
	switch {
	case h.Mark.Op == aside.Drop:
		return time.Time{}, true
	case h.Status == aside.Parked:
		return time.Time{}, false
	case h.Attempts == 0:
		return time.Time{}, true
	}
	return h.Last.Add(r.backoff(h.Attempts, draw)), true
}

// progress is what an attempt did with a list: it took the events from the first one on, in order.
type progress struct {
	done  uint64    // events that were applied, or that the handler dropped
	bytes uint64    // of them, encoded
	err   error     // of the event behind them, which failed; nil: none failed
	park  bool      // that event is not to be tried again
	ended time.Time // when the attempt ended
}

// after is a list's head after an attempt, and whether anything is left of the list.
func (r retryRules) after(h aside.Head, p progress) (_ aside.Head, left bool) {
	if p.done > 0 {
		h = without(h, p.done, p.bytes)
	}
	if p.err == nil {
		return h, h.First < h.Next
	}
	if h.Attempts == 0 && (h.Began.IsZero() || p.done > 0) {
		h.Began = p.ended
	}
	h.Attempts++
	h.Status, h.Error, h.Last = aside.Retrying, aside.ErrorText(p.err), p.ended
	if p.park || h.Attempts >= r.attempts || h.Mark.Op == aside.Retry { // an operator's retry stops at the first failure
		h.Status, h.Mark = aside.Parked, aside.Mark{}
	}
	return h, true
}

// without is a list's head without its first n events, of so many bytes. The event that is then the first begins anew.
func without(h aside.Head, n, bytes uint64) aside.Head {
	h.First += n
	h.Bytes -= min(bytes, h.Bytes)
	h.Status, h.Attempts, h.Error, h.Began, h.Last = aside.Retrying, 0, "", time.Time{}, time.Time{}
	if h.First >= h.Mark.Until {
		h.Mark = aside.Mark{}
	}
	return h
}

// stamp is a list as an attempt found it. The store's version does not protect the attempt's result, for it goes into a later
// commit: commands may come between, and the list's events may be dropped and others set aside.
type stamp struct {
	list  *aside.Head // in memory: a list that is gone, or another claim's, is never this one again
	first uint64
	mark  aside.Mark
	count uint64 // of the key's proof
	chain uint64
}

func stampOf(h *aside.Head, of store.Proof) stamp {
	return stamp{list: h, first: h.First, mark: h.Mark, count: of.Count, chain: of.Chain}
}

// take returns the part of an attempt's result that still counts, now that the list and its key's proof are these; false: none does.
func (s stamp) take(h *aside.Head, of store.Proof, p progress) (progress, bool) {
	switch {
	case h != s.list || h.First != s.first || of.Count != s.count || of.Chain != s.chain:
		return progress{}, false
	case h.Mark.Op == aside.Drop:
		return progress{}, false
	case p.err != nil && h.Mark != s.mark: // an operator asked for a retry, perhaps as the handler is mended: that failure is an old one
		p.err, p.park = nil, false
		return p, p.done > 0
	}
	return p, true
}
