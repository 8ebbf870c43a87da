package load

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"example.com/lockstep/pkg/publish"

	"example.com/lockstep/services/producer/internal/expect"
	"example.com/lockstep/services/producer/internal/latency"
	"example.com/lockstep/services/producer/internal/report"
)

// traffic counts what happens to events. The publisher calls resolved and
// received for every event, so they are cheap and never wait for anything slow.
type traffic struct {
	start time.Time // of the load; set before the first event is sent
	book  *expect.Book

	sent  atomic.Uint64
	asked atomic.Uint64 // receipts

	acks struct {
		sync.Mutex
		latency     *latency.Histogram // of the events stored
		last        time.Duration      // since start
		failed      uint64
		failedAsked uint64 // of these, events that asked for a receipt
		firstErr    error
	}
	receipts struct {
		sync.Mutex
		latency *latency.Histogram
		last    time.Duration // since start
	}
}

func newTraffic(book *expect.Book) *traffic {
	t := &traffic{book: book}
	t.acks.latency = latency.New()
	t.receipts.latency = latency.New()
	return t
}

func (t *traffic) elapsed() time.Duration { return time.Since(t.start) }

// resolved takes an event's outcome from the publisher.
func (t *traffic) resolved(of uint64, err error) {
	at := tag(of)
	t.book.Settle(at.key(), outcome(err))
	now := t.elapsed()

	t.acks.Lock()
	defer t.acks.Unlock()
	if err == nil {
		t.acks.latency.Record(now - at.intended())
		t.acks.last = max(t.acks.last, now)
		return
	}
	t.acks.failed++
	if at.receipt() {
		t.acks.failedAsked++
	}
	if t.acks.firstErr == nil {
		t.acks.firstErr = err
	}
}

// outcome is what an event's error says of where it is.
func outcome(err error) expect.Outcome {
	switch {
	case err == nil:
		return expect.Stored
	case errors.Is(err, publish.ErrTimeout):
		return expect.GivenUp
	default: // publish.ErrNotSent or a refusal
		return expect.NotStored
	}
}

// received takes the receipt of an event's commit from the publisher.
func (t *traffic) received(of uint64) {
	now := t.elapsed()
	t.receipts.Lock()
	defer t.receipts.Unlock()
	t.receipts.latency.Record(now - tag(of).intended())
	t.receipts.last = max(t.receipts.last, now)
}

// unresolved returns how many events have no outcome yet.
func (t *traffic) unresolved() uint64 {
	t.acks.Lock()
	defer t.acks.Unlock()
	return t.sent.Load() - uint64(t.acks.latency.Count()) - t.acks.failed
}

// outstanding returns how many receipts are still to come, and how many came.
func (t *traffic) outstanding() (missing, came int64) {
	t.acks.Lock()
	failed := t.acks.failedAsked
	t.acks.Unlock()
	t.receipts.Lock()
	defer t.receipts.Unlock()
	came = t.receipts.latency.Count()
	return int64(t.asked.Load()) - int64(failed) - came, came
}

// failure returns how many events failed, and the first reason.
func (t *traffic) failure() (uint64, error) {
	t.acks.Lock()
	defer t.acks.Unlock()
	return t.acks.failed, t.acks.firstErr
}

// snapshot returns what has happened so far.
func (t *traffic) snapshot() report.Traffic {
	s := report.Traffic{Sent: t.sent.Load(), ReceiptsAsked: t.asked.Load()}

	t.acks.Lock()
	s.Acked = uint64(t.acks.latency.Count())
	s.Failed = t.acks.failed
	s.LastAck = t.acks.last
	s.Latency.Ack = t.acks.latency.Summary()
	t.acks.Unlock()

	t.receipts.Lock()
	s.Receipts = uint64(t.receipts.latency.Count())
	s.LastReceipt = t.receipts.last
	s.Latency.Apply = t.receipts.latency.Summary()
	t.receipts.Unlock()
	return s
}
