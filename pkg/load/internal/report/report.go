// Package report is what a load says in the end: report.json for machines,
// report.html and a short table for people.
package report

import (
	"math"
	"time"

	"example.com/lockstep/pkg/load/internal/latency"
	"example.com/lockstep/pkg/load/internal/measure"
)

const schema = 2

// Verdicts.
const (
	Pass       = "pass"
	Crossed    = "crossed"    // every event was right, but a threshold was crossed
	Unfinished = "unfinished" // nothing is wrong so far, but not everything is applied yet: it lies in the log, or in lists of keys
	Fail       = "fail"       // something was lost, doubled or reordered, or cannot be told, or the application refuses a state
)

// Config is how the load was made.
type Config struct {
	App          string  `json:"app"`
	Run          string  `json:"run"`                // the run's id, part of every key
	Profile      string  `json:"profile,omitempty"`  // its name or file
	Rate         string  `json:"rate"`               // schedule in events per second, or max
	InFlight     int     `json:"in_flight"`          // events sent and not acknowledged, at most; of each producer
	Duration     string  `json:"duration,omitempty"` // of sending, without the warm-up; empty if only events limits it
	Events       uint64  `json:"events,omitempty"`   // how many to send, if that limits it
	WarmUp       string  `json:"warm_up,omitempty"`  // left out of latencies and rates
	Producers    int     `json:"producers"`
	Keys         int     `json:"keys"`
	Distribution string  `json:"distribution"`     // of events over keys
	Payload      string  `json:"payload"`          // as in 128 random bytes
	Poison       float64 `json:"poison,omitempty"` // share of the keys of which an event is to fail
	Seed         uint64  `json:"seed"`
	Receipts     float64 `json:"receipts"` // the share of events that asked for one
	Shards       int     `json:"shards"`
}

// Latency of events in milliseconds, from the intended send time: until the
// acknowledgement, and until the receipt of their commit.
type Latency struct {
	Ack   latency.Summary `json:"ack"`
	Apply latency.Summary `json:"apply"`
}

// Report is the whole of report.json. Times are in seconds since the first event
// was due, of which the warm-up is the first part. Counts are of all events;
// latencies and rates leave the warm-up out.
type Report struct {
	Schema           int             `json:"schema"`
	Verdict          string          `json:"verdict"`
	Violations       []string        `json:"violations"`
	Thresholds       []Threshold     `json:"thresholds"`
	Config           Config          `json:"config"`
	Started          time.Time       `json:"started"`
	SendingSeconds   float64         `json:"sending_seconds"`       // until the last event was sent
	Interrupted      bool            `json:"interrupted,omitempty"` // sending ended early, on a signal
	Sent             uint64          `json:"sent"`
	Acked            uint64          `json:"acked"`
	Failed           uint64          `json:"failed"` // given up or refused
	Overdue          uint64          `json:"behind"` // due within the load, but not sent by its end
	Unsent           uint64          `json:"unsent"` // of these, never sent
	Applied          uint64          `json:"applied"`
	Lost             uint64          `json:"lost"`       // events
	Duplicated       uint64          `json:"duplicated"` // events
	Reordered        uint64          `json:"reordered"`  // keys
	Unproven         uint64          `json:"unproven_keys,omitempty"`
	UnknownKeys      uint64          `json:"unknown_keys"`
	Refused          uint64          `json:"refused_keys,omitempty"` // by the application's own check
	Deleted          uint64          `json:"deleted_keys,omitempty"` // their last event deletes, and they have no state
	Dropped          uint64          `json:"dropped,omitempty"`      // events
	Drops            []string        `json:"drops,omitempty"`        // of which keys, the first ones
	SetAside         uint64          `json:"set_aside,omitempty"`    // events in lists of their keys
	SetAsideKeys     uint64          `json:"set_aside_keys,omitempty"`
	Parked           uint64          `json:"parked,omitempty"`      // of these events, those of parked keys
	ParkedKeys       uint64          `json:"parked_keys,omitempty"` // of these keys, those that wait for an operator
	ParkedExpected   uint64          `json:"parked_as_expected_keys,omitempty"`
	Lists            []string        `json:"lists,omitempty"` // of which keys, the first ones
	Unfinished       uint64          `json:"unfinished"`      // events
	UnfinishedShards []ShortShard    `json:"unfinished_shards"`
	Receipts         uint64          `json:"receipts"`
	ReceiptsAsked    uint64          `json:"receipts_asked"`
	AckedPerSecond   float64         `json:"acked_per_second"`   // from the first send to the last acknowledgement
	AppliedPerSecond float64         `json:"applied_per_second"` // from the first send to the last receipt
	LatencyMS        Latency         `json:"latency_ms"`
	ScheduleLagMS    latency.Summary `json:"schedule_lag_ms"` // how late events were sent
	CurveMS          Curves          `json:"latency_curve_ms"`
	Backlog          *Backlog        `json:"backlog,omitempty"`
	FindMax          *FindMax        `json:"find_max,omitempty"`
	Shards           []Shard         `json:"shards"`
	Pauses           Pauses          `json:"pauses"`
	Owners           []Owner         `json:"owners"`      // changes of ownership
	Annotations      []Annotation    `json:"annotations"` // what happened to the system meanwhile
	Timeline         Timeline        `json:"timeline"`
}

// Threshold is a condition on the report, and whether it held.
type Threshold struct {
	Threshold string  `json:"threshold"` // as in apply.p99<50ms
	Value     float64 `json:"value"`     // that the metric had; latencies in milliseconds
	Held      bool    `json:"held"`
}

// Curves are the whole distributions of the latencies.
type Curves struct {
	Ack   []latency.Step `json:"ack"`
	Apply []latency.Step `json:"apply"`
}

// Backlog is what was sent while the workers' intake was paused, and how it was
// worked off.
type Backlog struct {
	Events           uint64  `json:"events"`
	ResumedAt        float64 `json:"resumed_at"`
	DrainSeconds     float64 `json:"drain_seconds"` // from then until the last event was applied
	DrainedPerSecond float64 `json:"drained_per_second"`
}

// FindMax is a search for the highest rate that keeps a bound. The rest of the
// report is of the last trial that did.
type FindMax struct {
	BoundMS float64 `json:"bound_ms"` // of the p99 of apply latency
	Rate    uint64  `json:"rate"`     // the highest that kept it, 0 if none did
	Trials  []Trial `json:"trials"`
}

// Trial is one rate that was tried.
type Trial struct {
	Rate             uint64  `json:"rate"`
	AppliedPerSecond float64 `json:"applied_per_second"`
	ApplyP99MS       float64 `json:"apply_p99_ms"`
	Held             bool    `json:"held"`
	Why              string  `json:"why,omitempty"` // not
}

// Shard is what went to one shard.
type Shard struct {
	Shard  int    `json:"shard"`
	Keys   uint64 `json:"keys"`
	Events uint64 `json:"events"`
}

// ShortShard is a shard that had not reached the log's end when the load gave up
// waiting for it.
type ShortShard struct {
	Shard int    `json:"shard"`
	Seq   uint64 `json:"seq"` // the message up to which it was committed
	End   uint64 `json:"end"` // its last message
	Why   string `json:"why"` // what its owner said of it, or that it had none
}

// Pauses are times of at least 100 ms in which nothing of a shard was applied
// though something was due.
type Pauses struct {
	Count   uint64  `json:"count"`   // all of them
	Longest []Pause `json:"longest"` // the longest 256, by time
}

// Pause is one of them.
type Pause struct {
	Shard   int     `json:"shard"`
	From    float64 `json:"from"`
	Seconds float64 `json:"seconds"`
}

// To is when it ended.
func (p Pause) To() float64 { return p.From + p.Seconds }

// Owner is a change of a shard's owner.
type Owner struct {
	At    float64 `json:"at"`
	Shard int     `json:"shard"`
	Owner string  `json:"owner"`
}

// Timeline is how the load went over time.
type Timeline struct {
	IntervalSeconds float64 `json:"interval_seconds"` // of each point
	WarmUpSeconds   float64 `json:"warm_up_seconds"`  // the first part, left out of figures
	Points          []Point `json:"points"`
}

// end returns when its last interval ends.
func (t Timeline) end() float64 {
	end := t.IntervalSeconds
	for _, p := range t.Points {
		end = max(end, p.At+t.IntervalSeconds)
	}
	return end
}

// Point is what happened in one interval. Rates are of what came in it;
// latencies are of the events due in it, whenever they were applied, 0 if none was.
type Point struct {
	At               float64 `json:"at"` // its beginning
	SentPerSecond    float64 `json:"sent_per_second"`
	AckedPerSecond   float64 `json:"acked_per_second"`
	AppliedPerSecond float64 `json:"applied_per_second"` // reckoned from receipts
	Failed           uint64  `json:"failed"`
	ApplyP50MS       float64 `json:"apply_p50_ms"`
	ApplyP99MS       float64 `json:"apply_p99_ms"`
	ApplyMaxMS       float64 `json:"apply_max_ms"`
	MaxLagMS         float64 `json:"max_lag_ms"` // how late the latest event was sent
}

// New puts a report together from what a load measured. The verdict is pass,
// unfinished or fail.
func New(c Config, r *measure.Run) Report {
	out := Report{
		Schema:           schema,
		Verdict:          Pass,
		Violations:       append([]string{}, r.Violations...),
		Thresholds:       []Threshold{},
		Config:           c,
		Started:          r.Start,
		SendingSeconds:   seconds(r.Sending),
		Interrupted:      r.Interrupted,
		Sent:             r.Sent,
		Acked:            r.Acked,
		Failed:           r.Failed,
		Overdue:          r.Overdue,
		Unsent:           r.Unsent,
		Applied:          r.Applied,
		Lost:             r.Lost,
		Duplicated:       r.Duplicated,
		Reordered:        r.Reordered,
		Unproven:         r.Unproven,
		UnknownKeys:      r.UnknownKeys,
		Refused:          r.Refused,
		Deleted:          r.Deleted,
		Dropped:          r.Dropped,
		Drops:            r.Drops,
		SetAside:         r.SetAside,
		SetAsideKeys:     r.SetAsideKeys,
		Parked:           r.Parked,
		ParkedKeys:       r.ParkedKeys,
		ParkedExpected:   r.Expected,
		Lists:            r.Lists,
		Unfinished:       r.Unfinished,
		UnfinishedShards: []ShortShard{},
		Receipts:         r.Receipts,
		ReceiptsAsked:    r.ReceiptsAsked,
		AckedPerSecond:   perSecond(r.Acked-r.WarmUpAcked, r.LastAck-r.WarmUp),
		AppliedPerSecond: perSecond(r.Applied-min(r.Applied, r.WarmUpAcked), r.LastReceipt-r.WarmUp),
		LatencyMS:        Latency{Ack: r.Ack.Summary(), Apply: r.Apply.Summary()},
		ScheduleLagMS:    r.Lag.Summary(),
		CurveMS:          Curves{Ack: r.Ack.Curve(), Apply: r.Apply.Curve()},
		Shards:           []Shard{},
		Owners:           []Owner{},
		Annotations:      []Annotation{},
		Timeline:         timeline(r),
	}
	switch {
	case r.Acked == 0:
		out.Violations = append(out.Violations, "nothing was acknowledged, so there is nothing to judge")
	case r.Deleted > 0 && r.Deleted == usedKeys(r):
		out.Violations = append(out.Violations, "every key was deleted with its last event, so no state is left to compare: end the load with other events")
	}
	for _, s := range r.Short {
		out.UnfinishedShards = append(out.UnfinishedShards, ShortShard(s))
	}
	switch {
	case len(out.Violations) > 0:
		out.Verdict = Fail
	case out.Unfinished > 0 || len(out.UnfinishedShards) > 0 || out.SetAsideKeys > out.ParkedExpected:
		out.Verdict = Unfinished
	}
	for i, s := range r.Shards {
		out.Shards = append(out.Shards, Shard{Shard: i, Keys: s.Keys, Events: s.Events})
	}
	out.Pauses = Pauses{Count: r.Pauses.Count, Longest: []Pause{}}
	for _, p := range r.Pauses.InOrder() {
		out.Pauses.Longest = append(out.Pauses.Longest, Pause{Shard: p.Shard, From: seconds(p.From), Seconds: seconds(p.Length())})
	}
	for _, o := range r.Owners {
		out.Owners = append(out.Owners, Owner{At: seconds(o.At), Shard: o.Shard, Owner: o.Name})
	}
	if b := r.Backlog; b != nil {
		drain := b.Drained - b.Resumed
		out.Backlog = &Backlog{Events: b.Events, ResumedAt: seconds(b.Resumed), DrainSeconds: seconds(drain), DrainedPerSecond: perSecond(b.Events, drain)}
	}
	return out
}

// usedKeys returns how many keys got an event.
func usedKeys(r *measure.Run) (n uint64) {
	for _, s := range r.Shards {
		n += s.Keys
	}
	return n
}

// timeline puts the series of a run side by side.
func timeline(r *measure.Run) Timeline {
	interval := max(r.SentOver.Interval, r.AckedOver.Interval, r.AppliedOver.Interval)
	t := Timeline{IntervalSeconds: seconds(interval), WarmUpSeconds: seconds(r.WarmUp), Points: []Point{}}
	if interval == 0 {
		return t
	}
	r.SentOver.Coarsen(interval)
	r.AckedOver.Coarsen(interval)
	r.AppliedOver.Coarsen(interval)
	perReceipt := 1.0 // events that a receipt stands for
	if r.ReceiptsAsked > 0 {
		perReceipt = float64(r.Sent) / float64(r.ReceiptsAsked)
	}
	rate := func(events float64) float64 { return math.Round(events / interval.Seconds()) }
	for i := range max(len(r.SentOver.Points), len(r.AckedOver.Points), len(r.AppliedOver.Points)) {
		p := Point{At: seconds(time.Duration(i) * interval)}
		if i < len(r.SentOver.Points) {
			s := r.SentOver.Points[i]
			p.SentPerSecond, p.MaxLagMS = rate(float64(s.Events)), latency.Milliseconds(s.MaxLag)
		}
		if i < len(r.AckedOver.Points) {
			a := r.AckedOver.Points[i]
			p.AckedPerSecond, p.Failed = rate(float64(a.Events)), a.Failed
		}
		if i < len(r.AppliedOver.Points) {
			a := r.AppliedOver.Points[i]
			p.AppliedPerSecond = rate(float64(a.Receipts) * perReceipt)
			if a.Waits != nil {
				s := a.Waits.Summary()
				p.ApplyP50MS, p.ApplyP99MS, p.ApplyMaxMS = s.P50, s.P99, s.Max
			}
		}
		t.Points = append(t.Points, p)
	}
	return t
}

// seconds rounds to the millisecond.
func seconds(d time.Duration) float64 { return math.Round(float64(d)/float64(time.Millisecond)) / 1000 }

func perSecond(events uint64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return math.Round(float64(events) / d.Seconds())
}
