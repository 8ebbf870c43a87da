// Package report is what a load run says in the end: report.json for machines,
// a short table for people.
package report

import (
	"math"
	"time"

	"example.com/lockstep/services/producer/internal/expect"
	"example.com/lockstep/services/producer/internal/latency"
)

const schema = 1

// Verdicts.
const (
	Pass = "pass"
	Fail = "fail"
)

// Config is how the run was made.
type Config struct {
	App          string  `json:"app"`
	Run          string  `json:"run"`      // the run's id, part of every key
	Rate         string  `json:"rate"`     // events per second, or max
	Duration     string  `json:"duration"` // of sending
	Keys         int     `json:"keys"`
	Distribution string  `json:"distribution"` // of events over keys
	Size         int     `json:"size"`         // of a payload, in bytes
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

// Report is the whole of report.json.
type Report struct {
	Schema           int      `json:"schema"`
	Config           Config   `json:"config"`
	Interrupted      bool     `json:"interrupted,omitempty"` // sending ended early, on a signal
	Sent             uint64   `json:"sent"`
	Acked            uint64   `json:"acked"`
	Failed           uint64   `json:"failed"` // given up or refused
	Applied          uint64   `json:"applied"`
	Lost             uint64   `json:"lost"`         // events
	Duplicated       uint64   `json:"duplicated"`   // events
	Reordered        uint64   `json:"reordered"`    // keys
	UnknownKeys      uint64   `json:"unknown_keys"` // keys
	Receipts         uint64   `json:"receipts"`
	ReceiptsAsked    uint64   `json:"receipts_asked"`
	AckedPerSecond   float64  `json:"acked_per_second"`   // from the first send to the last acknowledgement
	AppliedPerSecond float64  `json:"applied_per_second"` // from the first send to the last receipt
	LatencyMS        Latency  `json:"latency_ms"`
	Verdict          string   `json:"verdict"`
	Violations       []string `json:"violations"`

	interrupted time.Duration // since the first send
}

// Traffic is what the sending side of a run saw.
type Traffic struct {
	Sent, Acked, Failed     uint64
	Receipts, ReceiptsAsked uint64
	LastAck, LastReceipt    time.Duration // since the first send
	Latency                 Latency
	Interrupted             time.Duration // since the first send; 0 if it was not
}

// New puts a report together. The verdict is pass if something was
// acknowledged and the tally has no violation.
func New(c Config, t Traffic, tally *expect.Tally) Report {
	if t.Acked == 0 {
		tally.Violate("nothing was acknowledged, so there is nothing to judge")
	}
	verdict := Fail
	if tally.Clean() {
		verdict = Pass
	}
	return Report{
		Schema:           schema,
		Config:           c,
		Interrupted:      t.Interrupted > 0,
		interrupted:      t.Interrupted,
		Sent:             t.Sent,
		Acked:            t.Acked,
		Failed:           t.Failed,
		Applied:          tally.Applied,
		Lost:             tally.Lost,
		Duplicated:       tally.Duplicated,
		Reordered:        tally.Reordered,
		UnknownKeys:      tally.UnknownKeys,
		Receipts:         t.Receipts,
		ReceiptsAsked:    t.ReceiptsAsked,
		AckedPerSecond:   perSecond(t.Acked, t.LastAck),
		AppliedPerSecond: perSecond(tally.Applied, t.LastReceipt),
		LatencyMS:        t.Latency,
		Verdict:          verdict,
		Violations:       tally.Violations(),
	}
}

func perSecond(events uint64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return math.Round(float64(events) / d.Seconds())
}
