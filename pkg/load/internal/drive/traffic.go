package drive

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"example.com/lockstep/pkg/load/internal/expect"
	"example.com/lockstep/pkg/load/internal/latency"
	"example.com/lockstep/pkg/load/internal/measure"
	"example.com/lockstep/pkg/load/internal/progress"
	"example.com/lockstep/pkg/publish"
)

// traffic measures what happens to events. The sender calls sentAt, the publisher
// resolved and received, for every event: so they are cheap and never wait for
// anything slow. Each of the three owns its part of the run.
type traffic struct {
	start   time.Time // of the load; set before the first event is sent
	warmUp  time.Duration
	shardOf []uint16 // of each key; set before the first event is sent
	book    *expect.Book
	run     *measure.Run // its part is complete once nothing calls us any more

	sent  atomic.Uint64
	asked atomic.Uint64 // receipts
	late  atomic.Int64  // how late the last event was sent, in nanoseconds

	acks struct {
		sync.Mutex
		closed      bool
		asked       uint64 // receipts, of the events stored
		failedAsked uint64 // and of those that failed
		firstErr    error
	}
	receipts struct {
		sync.Mutex
		closed   bool
		progress *measure.Progress
		recent   *latency.Histogram // of the last second
		readAt   time.Duration
		p99      time.Duration // of the second before
	}
}

func newTraffic(book *expect.Book, warmUp time.Duration) *traffic {
	t := &traffic{book: book, warmUp: warmUp, run: measure.New()}
	t.receipts.recent = latency.NewCoarse()
	return t
}

// begin starts the time, for keys on the shards of a layout.
func (t *traffic) begin(start time.Time, l Layout) {
	t.start = start
	t.run.Start, t.run.WarmUp = start.UTC(), t.warmUp
	t.shardOf = make([]uint16, t.book.Len())
	for key := range t.shardOf {
		t.shardOf[key] = uint16(l.ShardOf(t.book.Name(key)))
	}
	t.receipts.progress = measure.NewProgress(l.Shards)
}

func (t *traffic) elapsed() time.Duration { return time.Since(t.start) }

// sentAt takes an event that the publisher has.
func (t *traffic) sentAt(intended, lag time.Duration, receipt bool) {
	t.sent.Add(1)
	if receipt {
		t.asked.Add(1)
	}
	t.late.Store(int64(lag))
	p := t.run.SentOver.At(intended + lag)
	p.Events++
	p.MaxLag = max(p.MaxLag, lag)
	t.run.Sending = max(t.run.Sending, intended+lag)
	if intended >= t.warmUp {
		t.run.Lag.Record(lag)
	}
}

// resolved takes an event's outcome from the publisher.
func (t *traffic) resolved(of uint64, err error) {
	at := tag(of)
	t.book.Settle(at.key(), outcome(err))
	now := t.elapsed()

	t.acks.Lock()
	defer t.acks.Unlock()
	if t.acks.closed {
		return
	}
	p := t.run.AckedOver.At(now)
	if err != nil {
		t.run.Failed++
		p.Failed++
		if at.receipt() {
			t.acks.failedAsked++
		}
		if t.acks.firstErr == nil {
			t.acks.firstErr = err
		}
		return
	}
	t.run.Acked++
	p.Events++
	if at.receipt() {
		t.acks.asked++
	}
	t.run.LastAck = max(t.run.LastAck, now)
	if at.intended() < t.warmUp {
		t.run.WarmUpAcked++
		return
	}
	t.run.Ack.Record(now - at.intended())
}

// outcome is what an event's error says of where it is.
func outcome(err error) expect.Outcome {
	switch {
	case err == nil:
		return expect.Stored
	case errors.Is(err, publish.ErrUnknown):
		return expect.GivenUp
	default: // publish.ErrNotStored
		return expect.NotStored
	}
}

// received takes the receipt of an event's commit from the publisher.
func (t *traffic) received(of uint64) {
	at := tag(of)
	now := t.elapsed()
	waited := now - at.intended()

	t.receipts.Lock()
	defer t.receipts.Unlock()
	if t.receipts.closed {
		return
	}
	t.run.Receipts++
	t.run.LastReceipt = max(t.run.LastReceipt, now)
	t.run.AppliedOver.At(now).Receipts++
	t.run.AppliedOver.At(at.intended()).Wait(waited)
	t.receipts.progress.Received(int(t.shardOf[at.key()]), at.intended(), now, &t.run.Pauses)
	t.receipts.recent.Record(waited)
	if at.intended() >= t.warmUp {
		t.run.Apply.Record(waited)
	}
}

// unresolved returns how many events have no outcome yet.
func (t *traffic) unresolved() uint64 {
	t.acks.Lock()
	defer t.acks.Unlock()
	return t.sent.Load() - t.run.Acked - t.run.Failed
}

// outstanding returns how many receipts are still to come, and how many came.
func (t *traffic) outstanding() (missing, came int64) {
	t.acks.Lock()
	failed := t.acks.failedAsked
	t.acks.Unlock()
	t.receipts.Lock()
	defer t.receipts.Unlock()
	came = int64(t.run.Receipts)
	return int64(t.asked.Load()) - int64(failed) - came, came
}

// failure returns how many events failed, and the first reason.
func (t *traffic) failure() (uint64, error) {
	t.acks.Lock()
	defer t.acks.Unlock()
	return t.run.Failed, t.acks.firstErr
}

// snapshot returns what has happened so far, for people.
func (t *traffic) snapshot() progress.Snapshot {
	s := progress.Snapshot{Elapsed: t.elapsed(), Sent: t.sent.Load(), Late: time.Duration(t.late.Load())}

	t.acks.Lock()
	s.Acked, s.Failed = t.run.Acked, t.run.Failed
	asked := t.acks.asked
	t.acks.Unlock()

	t.receipts.Lock()
	came := t.run.Receipts
	if s.Elapsed-t.receipts.readAt >= time.Second {
		t.receipts.p99, t.receipts.readAt = t.receipts.recent.Quantile(0.99), s.Elapsed
		t.receipts.recent.Reset()
	}
	s.ApplyP99 = t.receipts.p99
	t.receipts.Unlock()

	if asked > came { // each stands for as many events
		s.Unapplied = (asked - came) * s.Acked / asked
	}
	return s
}

// finish completes the run. What is told to the traffic after it is too late.
func (t *traffic) finish(shards int) *measure.Run {
	t.acks.Lock()
	t.acks.closed = true
	t.acks.Unlock()
	t.receipts.Lock()
	t.receipts.closed = true
	t.receipts.Unlock()
	r := t.run
	r.Sent, r.ReceiptsAsked = t.sent.Load(), t.asked.Load()
	r.Keys = t.book.Len()
	r.Shards = make([]measure.Shard, shards)
	for key, shard := range t.shardOf {
		if events := t.book.Count(key); events > 0 {
			r.Shards[shard].Keys++
			r.Shards[shard].Events += events
		}
	}
	return r
}
