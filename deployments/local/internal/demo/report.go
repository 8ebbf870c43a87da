package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
)

const verdictPass = "pass"

// report is the part of the producer's report.json that the demo prints.
type report struct {
	Sent             uint64  `json:"sent"`
	Acked            uint64  `json:"acked"`
	Failed           uint64  `json:"failed"`
	Applied          uint64  `json:"applied"`
	Lost             uint64  `json:"lost"`
	Duplicated       uint64  `json:"duplicated"`
	Reordered        uint64  `json:"reordered"`
	Unproven         uint64  `json:"unproven_keys"`
	UnknownKeys      uint64  `json:"unknown_keys"`
	Refused          uint64  `json:"refused_keys"`
	Deleted          uint64  `json:"deleted_keys"`
	Dropped          uint64  `json:"dropped"`
	SetAside         uint64  `json:"set_aside"`
	SetAsideKeys     uint64  `json:"set_aside_keys"`
	ParkedKeys       uint64  `json:"parked_keys"`
	Unfinished       uint64  `json:"unfinished"`
	Receipts         uint64  `json:"receipts"`
	ReceiptsAsked    uint64  `json:"receipts_asked"`
	AckedPerSecond   float64 `json:"acked_per_second"`
	AppliedPerSecond float64 `json:"applied_per_second"`
	LatencyMS        struct {
		Ack   latency `json:"ack"`
		Apply latency `json:"apply"`
	} `json:"latency_ms"`
	Verdict    string   `json:"verdict"`
	Violations []string `json:"violations"`
}

type latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func readReport(path string) (report, error) {
	var r report
	text, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", path, err)
	}
	return r, nil
}

// maxViolations is how many violations are printed; report.json has all.
const maxViolations = 5

// table lays the figures out, the verdict last.
func (r report) table() string {
	var b strings.Builder
	b.WriteByte('\n')
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %s\t"+format+"\n", append([]any{name}, args...)...)
	}
	row("sent", "%d", r.Sent)
	row("acknowledged", "%d\t%.0f/s", r.Acked, r.AckedPerSecond)
	row("applied", "%d\t%.0f/s", r.Applied, r.AppliedPerSecond)
	row("lost", "%d", r.Lost)
	row("duplicated", "%d", r.Duplicated)
	row("reordered", "%d", r.Reordered)
	if r.Unproven > 0 {
		row("unproven", "%d keys\twithout a state, though events were acknowledged", r.Unproven)
	}
	if r.Refused > 0 {
		row("refused", "%d keys\tby Check", r.Refused)
	}
	if r.Deleted > 0 {
		row("deleted", "%d keys\twith their last event: nothing is left to compare", r.Deleted)
	}
	if r.Dropped > 0 {
		row("dropped", "%d\tby a handler or an operator", r.Dropped)
	}
	if r.SetAside > 0 {
		row("set aside", "%d\tof %s, %d of them parked", r.SetAside, count(int(r.SetAsideKeys), "key"), r.ParkedKeys)
	}
	if r.Unfinished > 0 {
		row("unfinished", "%d\tacknowledged and not applied yet", r.Unfinished)
	}
	if r.Failed > 0 || r.UnknownKeys > 0 {
		row("given up", "%d\t%d keys unknown", r.Failed, r.UnknownKeys)
	}
	row("acknowledged after", "%.1f ms\tmedian, %.1f ms p99", r.LatencyMS.Ack.P50, r.LatencyMS.Ack.P99)
	row("applied after", "%.1f ms\tmedian, %.1f ms p99", r.LatencyMS.Apply.P50, r.LatencyMS.Apply.P99)
	row("longest wait", "%.0f ms\tfrom the intended send to the commit", r.LatencyMS.Apply.Max)
	if r.Receipts < r.ReceiptsAsked {
		row("not timed", "%d\tset aside, or applied after the load had stopped waiting", r.ReceiptsAsked-r.Receipts)
	}
	w.Flush()
	b.WriteByte('\n')
	for i, v := range r.Violations {
		if i == maxViolations {
			fmt.Fprintf(&b, "  and %d more\n", len(r.Violations)-i)
			break
		}
		fmt.Fprintf(&b, "  %s\n", v)
	}
	fmt.Fprintf(&b, "verdict: %s\n", r.Verdict)
	return b.String()
}
