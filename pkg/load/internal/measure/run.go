// Package measure is what a load saw: counts, distributions, and how it all went
// over time. One process fills a Run; those of several are merged. Its memory
// does not grow with the events or with the time.
//
// Times are since the start of the load, of which the warm-up is the first part,
// unless said otherwise.
package measure

import (
	"slices"
	"time"

	"example.com/lockstep/pkg/load/internal/latency"
)

// Run is what one load saw.
type Run struct {
	Start       time.Time     // when the first event was due
	WarmUp      time.Duration // left out of distributions and rates
	Sending     time.Duration // until the last event was sent
	Interrupted bool          // sending was ended by a signal

	Sent    uint64
	Acked   uint64
	Failed  uint64 // given up or refused
	Overdue uint64 // due within the load, but not sent by its end
	Unsent  uint64 // of these, never sent

	WarmUpAcked   uint64 // of Acked, those of the warm-up
	ReceiptsAsked uint64
	Receipts      uint64
	LastAck       time.Duration
	LastReceipt   time.Duration

	Ack   *latency.Histogram // from the intended time to the acknowledgement
	Apply *latency.Histogram // from the intended time to the receipt of the commit
	Lag   *latency.Histogram // from the intended time to the moment the publisher had the event

	SentOver    Series[Sent, *Sent]
	AckedOver   Series[Acked, *Acked]
	AppliedOver Series[Applied, *Applied]

	Keys   int // to choose from
	Shards []Shard
	Pauses Pauses
	Owners []Owner

	Backlog *Backlog // nil unless one was built up

	Applied     uint64 // events, as far as the states show
	Lost        uint64 // events
	Duplicated  uint64 // events
	Reordered   uint64 // keys
	Unproven    uint64 // keys
	UnknownKeys uint64 // keys
	Refused     uint64 // keys, by the application's own check
	Violations  []string

	Dropped uint64   // events, by a handler or an operator
	Drops   []string // the first keys of which events were dropped

	SetAside     uint64   // events that wait in lists of their keys
	SetAsideKeys uint64   // keys that have a list
	Parked       uint64   // of these events, those of parked keys
	ParkedKeys   uint64   // of these keys, those that wait for an operator
	Expected     uint64   // of the parked keys, those whose first event fails as generate says
	Lists        []string // the first keys that have a list

	Deleted uint64 // keys without a state, as they ought to be

	Unfinished uint64  // events that are acknowledged and not applied yet: their shards are short of the log's end
	Short      []Short // these shards, by number
}

// New returns a run that saw nothing.
func New() *Run {
	return &Run{Ack: latency.New(), Apply: latency.New(), Lag: latency.New()}
}

// Sent is what was sent in a stretch of time.
type Sent struct {
	Events uint64
	MaxLag time.Duration // how late the latest of them was sent
}

// Add adds another stretch.
func (p *Sent) Add(q *Sent) {
	p.Events += q.Events
	p.MaxLag = max(p.MaxLag, q.MaxLag)
}

// Acked is what was acknowledged, and what failed, in a stretch of time.
type Acked struct{ Events, Failed uint64 }

// Add adds another stretch.
func (p *Acked) Add(q *Acked) {
	p.Events += q.Events
	p.Failed += q.Failed
}

// Applied is what was applied in a stretch of time, and what the events due in
// it waited for that.
type Applied struct {
	Receipts uint64             // that came
	Waits    *latency.Histogram // of events intended for this stretch; nil if none
}

// Add adds another stretch.
func (p *Applied) Add(q *Applied) {
	p.Receipts += q.Receipts
	switch {
	case q.Waits == nil:
	case p.Waits == nil:
		p.Waits = latency.NewCoarse()
		fallthrough
	default:
		p.Waits.Merge(q.Waits)
	}
}

// Wait enters what one event waited.
func (p *Applied) Wait(d time.Duration) {
	if p.Waits == nil {
		p.Waits = latency.NewCoarse()
	}
	p.Waits.Record(d)
}

// Shard is what went to one shard.
type Shard struct{ Keys, Events uint64 }

// Short is a shard that has not reached the log's end.
type Short struct {
	Shard    int
	Seq, End uint64 // up to which message it is committed, and the last one of it
	Why      string // what its owner says of it, or that it has none
}

// Owner is a change of a shard's owner.
type Owner struct {
	At    time.Duration
	Shard int
	Name  string // of the worker
}

// Backlog is what was sent while the workers' intake was paused, and how it was
// worked off.
type Backlog struct {
	Events  uint64
	Resumed time.Duration // when the workers went on
	Drained time.Duration // when the last of the events was applied
}

// with returns a backlog together with that of another process, which sent other events.
func (b *Backlog) with(o Backlog) *Backlog {
	if b != nil {
		o.Events += b.Events
		o.Resumed = max(o.Resumed, b.Resumed)
		o.Drained = max(o.Drained, b.Drained)
	}
	return &o
}

// Merge adds what another process saw. Both started at the same moment.
func (r *Run) Merge(o *Run) {
	if r.Start.IsZero() || !o.Start.IsZero() && o.Start.Before(r.Start) {
		r.Start = o.Start
	}
	r.WarmUp = max(r.WarmUp, o.WarmUp)
	r.Sending = max(r.Sending, o.Sending)
	r.Interrupted = r.Interrupted || o.Interrupted

	r.Sent += o.Sent
	r.Acked += o.Acked
	r.Failed += o.Failed
	r.Overdue += o.Overdue
	r.Unsent += o.Unsent
	r.WarmUpAcked += o.WarmUpAcked
	r.ReceiptsAsked += o.ReceiptsAsked
	r.Receipts += o.Receipts
	r.LastAck = max(r.LastAck, o.LastAck)
	r.LastReceipt = max(r.LastReceipt, o.LastReceipt)

	r.Ack.Merge(o.Ack)
	r.Apply.Merge(o.Apply)
	r.Lag.Merge(o.Lag)
	r.SentOver.Add(&o.SentOver)
	r.AckedOver.Add(&o.AckedOver)
	r.AppliedOver.Add(&o.AppliedOver)

	r.Keys += o.Keys
	for len(r.Shards) < len(o.Shards) {
		r.Shards = append(r.Shards, Shard{})
	}
	for i, s := range o.Shards {
		r.Shards[i].Keys += s.Keys
		r.Shards[i].Events += s.Events
	}
	r.Pauses.Add(&o.Pauses)
	if len(r.Owners) == 0 { // every process sees the same changes
		r.Owners = o.Owners
	}
	if o.Backlog != nil {
		r.Backlog = r.Backlog.with(*o.Backlog)
	}

	r.Applied += o.Applied
	r.Lost += o.Lost
	r.Duplicated += o.Duplicated
	r.Reordered += o.Reordered
	r.Unproven += o.Unproven
	r.UnknownKeys += o.UnknownKeys
	r.Refused += o.Refused
	r.Violations = append(r.Violations, o.Violations...)
	r.Deleted += o.Deleted
	r.Dropped += o.Dropped
	r.Drops = append(r.Drops, o.Drops...)
	r.SetAside += o.SetAside
	r.SetAsideKeys += o.SetAsideKeys
	r.Parked += o.Parked
	r.ParkedKeys += o.ParkedKeys
	r.Expected += o.Expected
	r.Lists = append(r.Lists, o.Lists...)
	r.Unfinished += o.Unfinished
	r.mergeShort(o.Short)
}

// mergeShort adds the shards that another process saw short of the log's end.
// Each has sent events of its own: a shard counts as short if one process saw it so.
func (r *Run) mergeShort(short []Short) {
	for _, s := range short {
		i, known := slices.BinarySearchFunc(r.Short, s.Shard, func(s Short, shard int) int { return s.Shard - shard })
		if !known {
			r.Short = slices.Insert(r.Short, i, s)
		}
	}
}
