package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"

	"example.com/lockstep/pkg/load/internal/latency"
)

// WriteTable writes the report for people, the verdict last.
func (r Report) WriteTable(out io.Writer) error {
	c := r.Config
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\t\n", args...) }

	fmt.Fprintf(out, "run %s: %s\n", c.Run, c.Describe())
	if r.Interrupted {
		fmt.Fprintf(out, "interrupted: sending ended after %.1f s\n", r.SendingSeconds)
	}
	fmt.Fprintln(out)
	line("\tevents\tper second")
	line("sent\t%d\t", r.Sent)
	line("acked\t%d\t%.0f", r.Acked, r.AckedPerSecond)
	line("failed\t%d\t", r.Failed)
	if r.Overdue > 0 {
		line("behind\t%d\tof which %d were never sent", r.Overdue, r.Unsent)
	}
	line("applied\t%d\t%.0f", r.Applied, r.AppliedPerSecond)
	if b := r.Backlog; b != nil {
		line("backlog\t%d\t%.0f drained in %.2f s", b.Events, b.DrainedPerSecond, b.DrainSeconds)
	}
	line("receipts\t%d\tof %d", r.Receipts, r.ReceiptsAsked)
	if err := w.Flush(); err != nil {
		return err
	}

	fmt.Fprintln(out)
	line("latency ms\tp50\tp90\tp99\tp99.9\tmax")
	type row struct {
		name string
		s    latency.Summary
	}
	rows := []row{{"ack", r.LatencyMS.Ack}, {"apply", r.LatencyMS.Apply}}
	if c.Rate != "max" { // a closed loop has no schedule
		rows = append(rows, row{"schedule lag", r.ScheduleLagMS})
	}
	for _, row := range rows {
		line("%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f", row.name, row.s.P50, row.s.P90, row.s.P99, row.s.P999, row.s.Max)
	}
	if err := w.Flush(); err != nil {
		return err
	}

	if len(r.Annotations) > 0 {
		fmt.Fprintln(out, "\nwhat happened meanwhile, the longest pause of a shard and the longest wait of an event after it:")
		for _, a := range r.Annotations {
			line("%.1f s\t%s\t%.2f s\t%.3f s\t", a.At, a.What, a.PauseSeconds, a.WaitSeconds)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if f := r.FindMax; f != nil {
		fmt.Fprintf(out, "\nrates tried for an apply p99 within %s ms:\n", number(f.BoundMS))
		line("rate\tapplied/s\tapply p99 ms\t")
		for _, t := range f.Trials {
			held := "held"
			if !t.Held {
				held = t.Why
			}
			line("%d\t%.0f\t%.2f\t%s", t.Rate, t.AppliedPerSecond, t.ApplyP99MS, held)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if f.Rate > 0 {
			fmt.Fprintf(out, "highest rate that held: %d/s; what else is said here is of its trial\n", f.Rate)
		} else {
			fmt.Fprintln(out, "no rate held; what else is said here is of the first one tried")
		}
	}
	r.writeFindings(out)
	for _, t := range r.Thresholds {
		held := "held"
		if !t.Held {
			held = "crossed"
		}
		fmt.Fprintf(out, "threshold %s: %s, %s\n", t.Threshold, held, number(t.Value))
	}
	_, err := fmt.Fprintf(out, "verdict: %s\n", r.Verdict)
	return err
}

// writeFindings writes what the verification found.
func (r Report) writeFindings(out io.Writer) {
	fmt.Fprintf(out, "\nlost %d, duplicated %d, reordered %d, unproven keys %d, unknown keys %d, unfinished %d\n",
		r.Lost, r.Duplicated, r.Reordered, r.Unproven, r.UnknownKeys, r.Unfinished)
	if r.Refused > 0 {
		fmt.Fprintf(out, "keys refused by Check %d\n", r.Refused)
	}
	for _, v := range r.Violations {
		fmt.Fprintf(out, "  %s\n", v)
	}
	for _, s := range r.UnfinishedShards {
		fmt.Fprintf(out, "  unfinished: %s\n", s)
	}
	if r.Deleted > 0 {
		fmt.Fprintf(out, "keys deleted in the end %d: their last event deletes, and nothing else of them is left to compare\n", r.Deleted)
	}
	if r.SetAside > 0 {
		fmt.Fprintf(out, "set aside %s of %s; of these %s of %s (%d as expected)\n",
			several(int(r.SetAside), "event"), several(int(r.SetAsideKeys), "key"),
			several(int(r.Parked), "event"), several(int(r.ParkedKeys), "parked key"), r.ParkedExpected)
	}
	for _, l := range r.Lists {
		fmt.Fprintf(out, "  list: %s\n", l)
	}
	if r.Dropped > 0 {
		fmt.Fprintf(out, "dropped %d events, by a handler or an operator\n", r.Dropped)
	}
	for _, d := range r.Drops {
		fmt.Fprintf(out, "  dropped: %s\n", d)
	}
}

// number writes a figure without an exponent, to the thousandth.
func number(f float64) string { return strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64) }

// Describe says in one line how the load was made.
func (c Config) Describe() string {
	out := "rate " + c.Rate
	if c.Duration != "" {
		out += " for " + c.Duration
	}
	if c.Events > 0 {
		out += fmt.Sprintf(", %d events", c.Events)
	}
	if c.WarmUp != "" {
		out += ", after " + c.WarmUp + " of warm-up"
	}
	if c.Producers > 1 {
		out += fmt.Sprintf(", %d producers", c.Producers)
	}
	if c.Keys > 0 { // those of a trace are known once it has run
		out += fmt.Sprintf(", %d keys", c.Keys)
	}
	out += fmt.Sprintf(" (%s), ", c.Distribution)
	if c.Poison > 0 {
		out += fmt.Sprintf("%s%% of them with an event that fails, ", number(100*c.Poison))
	}
	out += fmt.Sprintf("payloads of %s, seed %d", c.Payload, c.Seed)
	if c.Shards > 0 { // known once it has run
		out += fmt.Sprintf(", %d shards", c.Shards)
	}
	return out
}
